"""A request's body as it arrives: too slow or unreadable, it is refused and the connection is closed."""

from __future__ import annotations

import io
import time
from collections.abc import Callable
from typing import TYPE_CHECKING

import gevent
from gunicorn.http.errors import ParseException

from app.domain.errors import BodyTooSlow, InvalidRequest

if TYPE_CHECKING:
    from _typeshed import SupportsRead, WriteableBuffer

# A body may keep us waiting for PATIENCE_S, and a second more for each LEAST_BYTES_PER_S bytes that have arrived: enough
# for a picture of 10 MiB within the 300 s after which an upload's place is free again (app/services/uploads.py).
PATIENCE_S = 10.0
LEAST_BYTES_PER_S = 40_000
CHUNK_BYTES = 65_536


class PacedBody(io.RawIOBase):
    """Reads from `source`, gunicorn's body, whose `read` waits until it has `size` bytes or the body ends.

    Before it raises, it calls `close_connection`: what follows in the connection is no request.
    """

    def __init__(
        self, source: SupportsRead[bytes], close_connection: Callable[[], None], patience_s: float = PATIENCE_S
    ) -> None:
        self._source = source
        self._close_connection = close_connection
        self._patience_s = patience_s
        self._received = 0
        self._waited_s = 0.0

    def readable(self) -> bool:
        """Always True."""
        return True

    def readinto(self, buffer: WriteableBuffer) -> int:
        """Read at most CHUNK_BYTES, so that the pace can be measured. Raises BodyTooSlow, InvalidRequest."""
        target = memoryview(buffer).cast("B")
        chunk = self._read(min(len(target), CHUNK_BYTES))
        target[: len(chunk)] = chunk
        self._received += len(chunk)
        return len(chunk)

    def _read(self, size: int) -> bytes:
        left_s = self._patience_s + (self._received + size) / LEAST_BYTES_PER_S - self._waited_s
        began = time.monotonic()
        try:
            with gevent.Timeout(max(left_s, 0.001), BodyTooSlow):
                return self._source.read(size)
        except BodyTooSlow:
            self._close_connection()
            raise
        except ParseException:
            self._close_connection()
            raise InvalidRequest("The body's chunks cannot be read.") from None
        finally:
            self._waited_s += time.monotonic() - began
