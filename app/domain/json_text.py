"""Strict parsing of JSON (only finite numbers, no duplicate names, so that all parsers agree), and compact output."""

import json
import math
from typing import Any

MAX_PRINTED_CHARS = 60
BYTE_ORDER_MARK = "\ufeff"


class RepeatedName(ValueError):
    """An object has the same name twice; `name` can be shown to the sender."""

    def __init__(self, name: str) -> None:
        super().__init__(name)
        self.name = printable(name)


def decode(text: str) -> Any:
    """The value of a JSON text, with or without a byte order mark (RFC 8259, section 8.1). Raises RepeatedName, or ValueError or RecursionError if it is not JSON."""
    return _DECODER.decode(text.removeprefix(BYTE_ORDER_MARK))


def decode_at(text: str, position: int) -> tuple[Any, int]:
    """The value of the JSON that begins at `position`, and where it ends. Raises as `decode` does."""
    return _DECODER.raw_decode(text, position)


def encode(value: Any) -> str:
    """The value as JSON without whitespace between its parts."""
    return _ENCODER.encode(value)


def printable(name: str) -> str:
    """A name that a client chose, shortened and escaped so that it can be part of a sentence."""
    return name if name.isprintable() and len(name) <= MAX_PRINTED_CHARS else f"{name[:MAX_PRINTED_CHARS]!a}…"


def _object(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    members: dict[str, Any] = {}
    for name, value in pairs:
        if name in members:
            raise RepeatedName(name)
        members[name] = value
    return members


def _refuse_constant(name: str) -> None:
    raise ValueError(name)


def _finite(text: str) -> float:
    number = float(text)
    if not math.isfinite(number):  # 1e999 is valid JSON, but it would be forwarded as `Infinity`, which is not
        raise ValueError(text)
    return number


_DECODER = json.JSONDecoder(parse_constant=_refuse_constant, parse_float=_finite, object_pairs_hook=_object)
# `json.dumps` with these options would build a new encoder on every call
_ENCODER = json.JSONEncoder(ensure_ascii=False, separators=(",", ":"))
