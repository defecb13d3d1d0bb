"""The header Idempotency-Key, and when two bodies are the same."""

from __future__ import annotations

import json
import re

import pytest

from app.domain.errors import InvalidRequest
from app.domain.idempotency import PATTERN, body_hash, parse_key

ALL_VISIBLE = "".join(map(chr, range(0x21, 0x7F)))
ESCAPED = ALL_VISIBLE.replace("\\", "\\\\").replace('"', '\\"')

KEYS = {
    "a string in quotes": ('"8e03978e-40d5-43dd-bc93-6894a57f9324"', "8e03978e-40d5-43dd-bc93-6894a57f9324"),
    "a key alone": ("8e03978e-40d5-43dd-bc93-6894a57f9324", "8e03978e-40d5-43dd-bc93-6894a57f9324"),
    "one character": ("a", "a"),
    "one character in quotes": ('"a"', "a"),
    "the longest": ("k" * 255, "k" * 255),
    "the longest in quotes": (f'"{"k" * 255}"', "k" * 255),
    "the longest of escaped characters": ('"' + '\\"' * 255 + '"', '"' * 255),
    "every visible character": (f'"{ESCAPED}"', ALL_VISIBLE),
    "a comma in quotes": ('"a,b"', "a,b"),
    "punctuation alone": (r"{a;b=c\d}", r"{a;b=c\d}"),
}

INVALID = {
    "nothing": "",
    "nothing in quotes": '""',
    "too long": "k" * 256,
    "too long in quotes": f'"{"k" * 256}"',
    "10 KB": "k" * 10_240,
    "10 KB in quotes": f'"{"k" * 10_240}"',
    "10 KB of quotes": '"' * 10_240,
    "10 KB of backslashes in quotes": '"' + "\\" * 10_240 + '"',
    "a NUL": "a\x00b",
    "a NUL in quotes": '"a\x00b"',
    "a line break": "a\nb",
    "a line break at the end": "a\n",
    "a tab": "a\tb",
    "a delete character": "a\x7f",
    "a space": "a b",
    "a space in quotes": '"a b"',
    "only spaces": "   ",
    "spaces around": " a ",
    "a letter beyond ASCII": "clé",
    "a letter beyond ASCII in quotes": '"clé"',
    "an emoji": "\U0001f98a",
    "an open quote": '"a',
    "a closing quote": 'a"',
    "one quote": '"',
    "a quote inside": 'a"b',
    "an unescaped quote inside": '"a"b"',
    "an escape of another character": r'"a\b"',
    "a backslash at the end": '"a\\"',
    "parameters": '"a";v=1',
    "single quotes and a comma": "'a','b'",
    "two headers": "a,b",
    "two headers with a space": "a, b",
    "two headers in quotes": '"a", "b"',
    "the same header twice": '"a","a"',
    "an empty header and another": ",a",
}


@pytest.mark.parametrize(("value", "key"), KEYS.values(), ids=KEYS)
def test_a_key_is_read_with_and_without_quotes(value: str, key: str) -> None:
    assert parse_key(value) == key


@pytest.mark.parametrize("value", INVALID.values(), ids=INVALID)
def test_an_invalid_key_is_refused_with_the_name_of_the_header(value: str) -> None:
    with pytest.raises(
        InvalidRequest, match=r"^Idempotency-Key must be sent once, with 1 to 255 visible ASCII"
    ) as caught:
        parse_key(value)
    assert (caught.value.status, caught.value.code) == (400, "ERR_INVALID_REQUEST")
    assert len(caught.value.detail) < 200  # it does not repeat what was sent


@pytest.mark.parametrize("value", [*(value for value, _ in KEYS.values()), *INVALID.values()])
def test_the_documented_pattern_describes_the_valid_keys(value: str) -> None:
    described = re.fullmatch(f"({PATTERN})", value) is not None
    assert described == (value not in INVALID.values())


SAME = [
    ('{"prompt": "a fox", "parameters": {"a": 1, "b": [1, 2]}}', '{"parameters":{"b":[1,2],"a":1},"prompt":"a fox"}'),
    ('{"prompt": "M\\u00e4rz \\/"}', '{"prompt": "März /"}'),
    ('{"seed": 18446744073709551615}', '{ "seed" : 18446744073709551615 }'),
    ('{"prompt": "\\ud83e\\udd8a"}', '{"prompt": "\U0001f98a"}'),
]
DIFFERENT = [
    ('{"prompt": "a fox"}', '{"prompt": "a fox "}'),
    ('{"prompt": "a fox"}', '{"prompt": "a fox", "model": "dall-e-3"}'),
    ('{"a": [1, 2]}', '{"a": [2, 1]}'),
    ('{"a": 1}', '{"a": "1"}'),
    ('{"a": 1}', '{"a": true}'),
    ('{"a": {"b": 1}}', '{"a": {"c": 1}}'),
    ('{"seed": 18446744073709551615}', '{"seed": 18446744073709551614}'),
    ('{"a": 64}', '{"a": 64.0}'),
]


@pytest.mark.parametrize(("one", "other"), SAME)
def test_bodies_that_mean_the_same_have_the_same_hash(one: str, other: str) -> None:
    assert body_hash(json.loads(one)) == body_hash(json.loads(other))


@pytest.mark.parametrize(("one", "other"), DIFFERENT)
def test_different_bodies_have_different_hashes(one: str, other: str) -> None:
    assert body_hash(json.loads(one)) != body_hash(json.loads(other))
