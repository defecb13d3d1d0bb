"""Strict reading of JSON (finite numbers, each name once in an object, so that all readers agree), and compact writing."""

from __future__ import annotations

import json
import math
from typing import Any

MAX_PRINTED_CHARS = 60


class RepeatedName(ValueError):
    """An object has the same name twice; `name` can be printable to the sender."""

    def __init__(self, name: str) -> None:
        super().__init__(name)
        self.name = printable(name)


def decode(text: str) -> Any:
    """The value of a JSON text. Raises RepeatedName, or ValueError or RecursionError where it is not JSON."""
    return _DECODER.decode(text)


def encode(value: Any) -> str:
    """The value as JSON without spaces between its parts."""
    return _ENCODER.encode(value)


def printable(name: str) -> str:
    """A name that a client chose, shortened and escaped so that it can be part of a sentence."""
    return name if name.isprintable() and len(name) <= MAX_PRINTED_CHARS else f"{name[:MAX_PRINTED_CHARS]!a}…"


def _object(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    made = dict(pairs)
    if len(made) != len(pairs):
        raise RepeatedName(_first_repeated([name for name, _ in pairs]))
    return made


def _first_repeated(names: list[str]) -> str:
    seen: set[str] = set()
    for name in names:
        if name in seen:
            break
        seen.add(name)
    return name


def _refuse_constant(name: str) -> None:
    raise ValueError(name)


def _finite(text: str) -> float:
    number = float(text)
    if not math.isfinite(number):  # 1e999 is valid JSON, but we would send on `Infinity`, which is not
        raise ValueError(text)
    return number


_DECODER = json.JSONDecoder(parse_constant=_refuse_constant, parse_float=_finite, object_pairs_hook=_object)
# `json.dumps` with these options would build an encoder for every call
_ENCODER = json.JSONEncoder(ensure_ascii=False, separators=(",", ":"))
