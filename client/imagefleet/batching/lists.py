"""Lists of prompts as people keep them: text, tables, JSON lines, YAML and JSON.

The first three are sent to the server as they are, which reads them; the others are converted to items.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from imagefleet.batching.yaml_lists import read_yaml
from imagefleet.models import ItemError

MOST_BYTES = 256 * 1024 * 1024
STDIN = "-"
_FORMATS = {
    ".txt": "txt",
    ".csv": "csv",
    ".jsonl": "jsonl",
    ".ndjson": "jsonl",
    ".yaml": "yaml",
    ".yml": "yaml",
    ".json": "json",
}
FORMATS = tuple(dict.fromkeys(_FORMATS.values()))
_SENT_AS_THEY_ARE = {"txt": "text/plain", "csv": "text/csv", "jsonl": "application/x-ndjson"}
FIELDS = ("name", "concurrency", "userId", "webhook", "defaults")


class ListError(Exception):
    """The list cannot be read; the message names the file, and the line if it is known."""


class ListRefused(ListError):
    """The server did not accept it; further lines of the message say what is wrong with items."""


@dataclass(frozen=True, slots=True)
class PromptList:
    """A list that is to be submitted. `content` is the file.

    Either the server reads it, as `content_type`, or these are its `items`, with the `lines` that they begin in if those are
    known, and `fields`, what the file says of the batch as a whole.
    """

    source: str
    content: bytes
    content_type: str | None = None
    items: Sequence[Mapping[str, Any]] = ()
    fields: Mapping[str, Any] = field(default_factory=dict)
    lines: Sequence[int] = ()

    def describe(self, error: ItemError) -> str:
        """What the server says is wrong with an item, with the place in the file."""
        number = error.line or 0
        place = _place(number, self.lines) if self.content_type is None else f"line {number:,}"
        names = [error.field] if error.field and not (error.reason or "").startswith(error.field) else []
        return ": ".join([f"{self.source}, {place}", *names, error.reason or "It is invalid."])


def read_list(source: str, chosen: str | None = None) -> PromptList:
    """Read a file, or stdin for `-`. Its format is `chosen`, or else what its name says. Raises ListError, OSError."""
    name = "stdin" if source == STDIN else source
    if source == STDIN and chosen is None:
        raise ListError(f"Say what stdin contains: --format {'|'.join(FORMATS)}.")
    content = _content(source, name)
    chosen = chosen or _format_of(source)
    if chosen in _SENT_AS_THEY_ARE:
        return PromptList(name, content, _SENT_AS_THEY_ARE[chosen])
    text = _decoded(content, name)
    read: Callable[[str], tuple[Any, Sequence[int]]] = read_yaml if chosen == "yaml" else _read_json
    try:
        document, lines = read(text)
        items, fields = _parts(document, lines)
    except ValueError as error:
        joint = ", " if str(error).startswith(("line ", "item ")) else ": "
        raise ListError(f"{name}{joint}{error}") from None
    return PromptList(name, content, None, items, fields, lines)


def _format_of(source: str) -> str:
    suffix = Path(source).suffix.lower()
    if suffix not in _FORMATS:
        raise ListError(f"{source}: the name does not tell the format. Say it with --format {'|'.join(FORMATS)}.")
    return _FORMATS[suffix]


def _content(source: str, name: str) -> bytes:
    if source == STDIN:
        content = sys.stdin.buffer.read(MOST_BYTES + 1)
    else:
        with Path(source).open("rb") as file:
            content = file.read(MOST_BYTES + 1)
    if len(content) > MOST_BYTES:
        raise ListError(f"{name}: the file is too large for a list of prompts.")
    return content


def _decoded(content: bytes, name: str) -> str:
    try:
        return content.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = content[: error.start].count(b"\n") + 1
        raise ListError(f"{name}, line {line:,}: this is not UTF-8. Save the file as UTF-8.") from None


def _read_json(text: str) -> tuple[Any, Sequence[int]]:
    try:
        return json.loads(text, object_pairs_hook=_without_repeated), ()
    except json.JSONDecodeError as error:
        raise ValueError(f"line {error.lineno:,}: this is not valid JSON: {error.msg}.") from None
    except RecursionError:
        raise ValueError("line 1: it is nested too deeply.") from None


def _without_repeated(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found: dict[str, Any] = {}
    for name, value in pairs:
        if name in found:
            raise ValueError(f"an object has the field {name} twice.")
        found[name] = value
    return found


def _parts(document: Any, lines: Sequence[int]) -> tuple[list[Mapping[str, Any]], Mapping[str, Any]]:
    """The items, and what is said of the batch as a whole."""
    fields: Mapping[str, Any] = {}
    if isinstance(document, dict):
        fields = {name: value for name, value in document.items() if name != "items" and value is not None}
        unknown = next((name for name in fields if name not in FIELDS), None)
        if unknown is not None:
            raise ValueError(f"the field {unknown} is unknown beside items. There are {', '.join(FIELDS)}.")
        _check_fields(fields)
        document = document.get("items")
    if not isinstance(document, list):
        raise ValueError("it must be a list of prompts, or have one as items.")  # noqa: TRY004 - as above
    return [_item(item, _place(number, lines)) for number, item in enumerate(document, 1)], fields


def _check_fields(fields: Mapping[str, Any]) -> None:
    kinds = {"name": (str,), "concurrency": (int,), "userId": (str,), "webhook": (str, dict), "defaults": (dict,)}
    for name, value in fields.items():
        if not isinstance(value, kinds[name]) or isinstance(value, bool):
            words = " or ".join(
                {str: "text", int: "a whole number", dict: "fields with values"}[k] for k in kinds[name]
            )
            raise ValueError(f"{name} must be {words}.")  # noqa: TRY004 - every error of a list is one


def _item(item: Any, place: str) -> Mapping[str, Any]:
    if isinstance(item, str):
        return {"prompt": item}
    if isinstance(item, dict):
        return item
    raise ValueError(f'{place}: it must be a prompt, or fields such as "prompt" and "customId".')


def _place(number: int, lines: Sequence[int]) -> str:
    """Where an item stands that has this number from 1."""
    return f"line {lines[number - 1]:,} (item {number:,})" if 0 < number <= len(lines) else f"item {number:,}"
