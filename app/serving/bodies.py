"""A request's body as it comes in: at a pace, and in a form that can be read, or it is refused and the connection closed."""

from __future__ import annotations

import io
import time
from collections.abc import Callable
from typing import TYPE_CHECKING, Protocol

import gevent
from gunicorn.http.errors import ParseException

from app.domain.errors import BodyTooSlow, InvalidRequest

if TYPE_CHECKING:
    from _typeshed import WriteableBuffer

# Whoever sends a body may keep us waiting so long, and a second more for each so many bytes that have come: enough for
# a picture of 10 MiB within the 300 s after which an upload's place is given to another (app/services/uploads.py).
PATIENCE_S = 10.0
LEAST_BYTES_PER_S = 40_000
PIECE_BYTES = 65_536


class Source(Protocol):
    """gunicorn's body: `read` waits until all that was asked for is there, or the body ends."""

    def read(self, size: int) -> bytes:
        """The next bytes."""


class PacedBody(io.RawIOBase):
    """Reads from `source`. `give_up` is called before a refusal is raised: what comes next is no request."""

    def __init__(self, source: Source, give_up: Callable[[], None], patience_s: float = PATIENCE_S) -> None:
        self._source = source
        self._give_up = give_up
        self._patience_s = patience_s
        self._came = 0
        self._waited_s = 0.0

    def readable(self) -> bool:
        """It is."""
        return True

    def readinto(self, buffer: WriteableBuffer) -> int:
        """At most `PIECE_BYTES` at a time, so that it can be seen how fast they come. Raises BodyTooSlow, InvalidRequest."""
        room = memoryview(buffer).cast("B")
        piece = self._read(min(len(room), PIECE_BYTES))
        room[: len(piece)] = piece
        self._came += len(piece)
        return len(piece)

    def _read(self, size: int) -> bytes:
        left_s = self._patience_s + (self._came + size) / LEAST_BYTES_PER_S - self._waited_s
        began = time.monotonic()
        try:
            with gevent.Timeout(max(left_s, 0.001), BodyTooSlow):
                return self._source.read(size)
        except BodyTooSlow:
            self._give_up()
            raise
        except ParseException:
            self._give_up()
            raise InvalidRequest("The body's chunks cannot be read.") from None
        finally:
            self._waited_s += time.monotonic() - began
