"""The documented schemas of extension messages accept and refuse the same messages as `messages.parse`."""

from __future__ import annotations

import copy
import itertools
import json
import re
from collections.abc import Iterator
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from jsonschema import Draft7Validator, ValidationError, validators  # type: ignore[import-untyped]  # it ships no types

from app.domain import messages
from app.domain.errors import MalformedMessage
from app.domain.messages import Message
from app.domain.wire_types import without_nulls
from app.web import examples
from app.web.asyncapi import RECEIVED, payload

Path = tuple[str, ...]
ABSENT = object()


def _type_name(kind: type[Message]) -> str:
    return kind.type_name()


def _pattern(_: Any, pattern: str, instance: Any, __: Any) -> Iterator[ValidationError]:
    """The pattern with JavaScript's meaning: in Python `$` also matches before a line break at the end."""
    if isinstance(instance, str) and not re.search(pattern.replace("$", r"\Z"), instance):
        yield ValidationError(f"{instance!r} does not match {pattern}")


VALIDATOR = validators.extend(Draft7Validator, {"pattern": _pattern})
PAYLOADS = {kind: payload(kind) for kind in RECEIVED}
SCHEMAS = {kind: VALIDATOR(schema) for kind, schema in PAYLOADS.items()}

LENGTHS = [64, 128, 200, 2_000, 8_192]
NUMBERS = [0, 1, -1, 50, 64, 65, 100, 101, 1_000_000, 1_000_001, 86_400_000, 86_400_001, 2**70]
TEXTS = [
    "",
    " ",
    "\t\n",
    "\x00",
    "\x00 \x85",
    "a",
    "a\n",
    "-a",
    "a b",
    "a.b:c@d",
    "é",
    "😀",
    "a\tb",
    "a\x07b",
    "\u2028",
]
URLS = [
    "http://a/b",
    "HTTPS://a/b?c#d",
    "http://",
    "http:/a",
    "http://a b",
    "http://a\n",
    "\x01\n http://a\tb c\x00",
    "http://a\x00b",
    "ht\ntp://a",
    "\r\n data:image/png;base64,AA==",
    "http://a\x7f",
    "http://a/é",
    "ftp://a/b",
    "data:image/png;base64,AA==",
    "data:image/",
    "data:image/é",
    "data:image/png;base64,AA\n",
    "DATA:image/png;base64,AA",
    "data:text/html,a",
    "javascript:alert(1)",
    "http://" + "a" * (messages.URL_CHARS - 7),
    "http://" + "a" * (messages.URL_CHARS - 6),
]
SINGLE: list[Any] = [
    None,
    True,
    False,
    *NUMBERS,
    *(float(number) for number in NUMBERS),
    0.5,
    99.9,
    100.1,
    -0.0,
    1e300,
    *TEXTS,
    *("a" * (length + more) for length in LENGTHS for more in (0, 1)),
    *URLS,
    {},
    {"a": 1},
]
LISTS: list[Any] = [
    [],
    *([each] for each in SINGLE),
    *(["a"] * size for size in (2, 64, 65, 256, 257)),
    *([URLS[0]] * size for size in (2, 10, 11)),
    ["a", 1],
    [URLS[0], "a"],
]
VALUES = [ABSENT, *SINGLE, *LISTS]

WHOLE: dict[type[Message], dict[str, Any]] = {kind: copy.deepcopy(examples.message(kind)) for kind in RECEIVED}
WHOLE[messages.Authenticate] |= {"token": "t", "activeRequestIds": ["a"]}
WHOLE[messages.Authenticate]["metadata"]["maxConcurrent"] = 2
WHOLE[messages.ImageGenerated] |= {"lease": "l", "imageUrls": [URLS[0]]}
WHOLE[messages.ImageGenerationFailed] |= {"lease": "l", "code": "c", "retryable": True, "retryAfterMs": 5}
WHOLE[messages.ImageGenerationProgress] |= {
    "lease": "l",
    "preview": {"mimeType": "image/png", "data": "AA==", "position": 1},
}
WHOLE[messages.Heartbeat] |= {"activeRequestIds": ["a"]}
KINDS = sorted(RECEIVED, key=_type_name)


def fields_of(kind: type[Message]) -> list[Path]:
    """All fields of the message, also nested ones, and an unknown one, but not `type`."""
    return [*(path for path in _paths(PAYLOADS[kind]) if path != ("type",)), ("unknown",)]


def _paths(schema: Any, above: Path = ()) -> Iterator[Path]:
    for name, each in schema.get("properties", {}).items():
        yield (*above, name)
        yield from _paths(each, (*above, name))


def changed(kind: type[Message], *changes: tuple[Path, Any]) -> dict[str, Any]:
    """A valid message of this type with these fields changed."""
    message = copy.deepcopy(WHOLE[kind])
    for (*above, name), value in changes:
        place: Any = message
        for step in above:
            place = place[step] if isinstance(place.get(step), dict) else {}
        if value is ABSENT:
            place.pop(name, None)
        else:
            place[name] = copy.deepcopy(value)  # another change may apply to a field inside it
    return message


def disagrees(kind: type[Message], message: dict[str, Any]) -> bool:
    """True if one of the two accepts the message and the other does not."""
    meant = without_nulls(message)
    for part in ("metadata", "status", "preview"):
        if kind is not messages.ImageGenerated and part in meant:
            meant = {**meant, part: without_nulls(meant[part])}
    try:
        messages.parse(json.dumps(message))
    except MalformedMessage:
        return bool(SCHEMAS[kind].is_valid(meant))
    return not SCHEMAS[kind].is_valid(meant)


@pytest.mark.parametrize("kind", KINDS, ids=_type_name)
def test_both_agree_on_every_value_of_every_field(kind: type[Message]) -> None:
    tried = [(path, value) for path in fields_of(kind) for value in VALUES]
    assert [change for change in tried if disagrees(kind, changed(kind, change))] == []


def test_both_agree_on_one_and_several_addresses_together() -> None:
    kind = messages.ImageGenerated
    one = [ABSENT, None, 1, "a", URLS[0], URLS[8]]
    for first, several in itertools.product(one, VALUES):
        message = changed(kind, (("imageUrl",), first), (("imageUrls",), several))
        assert not disagrees(kind, message), message


@given(data=st.data(), kind=st.sampled_from(KINDS))
@settings(max_examples=300, deadline=None)
def test_both_agree_on_several_changes_at_once(data: st.DataObject, kind: type[Message]) -> None:
    change = st.tuples(st.sampled_from(fields_of(kind)), st.sampled_from(VALUES))
    message = changed(kind, *data.draw(st.lists(change, min_size=2, max_size=4)))
    assert not disagrees(kind, message)


@pytest.mark.parametrize("kind", KINDS, ids=_type_name)
def test_a_message_of_another_type_is_refused(kind: type[Message]) -> None:
    assert not SCHEMAS[kind].is_valid({**WHOLE[kind], "type": "surprise"})
    assert SCHEMAS[kind].is_valid(WHOLE[kind])
