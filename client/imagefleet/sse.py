"""Server-Sent Events: bytes in, messages out, as the HTML standard defines it."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from imagefleet.errors import BadAnswer

MAX_LINE_BYTES = 1_048_576
# A carriage return at the very end may be the first half of CR LF.
_LINE_END = re.compile(rb"\r\n|\n|\r(?!\Z)")


@dataclass(frozen=True, slots=True)
class Message:
    """One message: its type, its data, and its ID if it has one."""

    type: str
    data: str
    id: str | None


def messages(pieces: Iterable[bytes]) -> Iterator[Message]:
    """The messages of a stream; an incomplete one at the end is dropped."""
    kind, own_id, data = "", None, list[str]()
    for line in _lines(pieces):
        name, _, value = line.partition(":")
        value = value.removeprefix(" ")
        if name == "data":
            data.append(value)
        elif name == "event":
            kind = value
        elif name == "id" and "\0" not in value:
            own_id = value
        elif not line:
            if data:
                yield Message(kind or "message", "\n".join(data), own_id)
            kind, own_id, data = "", None, []


def _lines(pieces: Iterable[bytes]) -> Iterator[str]:
    pending = b""
    for piece in pieces:
        *whole, pending = _LINE_END.split(pending + piece)
        if len(pending) > MAX_LINE_BYTES:
            raise BadAnswer("The server sent an event that is too long.")
        for line in whole:
            yield line.decode("utf-8", "replace").removeprefix("\ufeff")
