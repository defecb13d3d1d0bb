"""A file in an object storage, to read and seek: it is streamed, and never in memory as a whole."""

import errno
import io
from collections.abc import Callable
from typing import Any, BinaryIO

from botocore.exceptions import BotoCoreError, ClientError, HTTPClientError, IncompleteReadError

BUFFER_BYTES = 65_536
RESUMES = 2  # of one file, after its connection broke

# Opens the object from this byte to its end.
OpenFrom = Callable[[int], Any]


class ReadFailed(OSError):
    """The storage failed while the picture was read, or sent other bytes than it announced."""

    def __init__(self, problem: str) -> None:
        super().__init__(errno.EIO, problem)


def streamed(body: Any, size: int, open_from: OpenFrom) -> BinaryIO:
    """A file of `size` bytes whose content begins in `body`, boto3's stream. Reading raises ReadFailed."""
    return io.BufferedReader(_Streamed(body, size, open_from), BUFFER_BYTES)


class _Streamed(io.RawIOBase):
    """After a seek, the rest is requested when it is read."""

    def __init__(self, body: Any, size: int, open_from: OpenFrom) -> None:
        self._body = body
        self._size = size
        self._open_from = open_from
        self._at = self._body_at = 0
        self._resumes = RESUMES

    def readable(self) -> bool:
        return True

    def seekable(self) -> bool:
        return True

    def tell(self) -> int:
        return self._at

    def seek(self, offset: int, whence: int = io.SEEK_SET) -> int:
        """Send nothing. Raises ValueError for a place before the beginning."""
        at = offset + {io.SEEK_SET: 0, io.SEEK_CUR: self._at, io.SEEK_END: self._size}[whence]
        if at < 0:
            raise ValueError("a negative position")
        self._at = at
        return at

    def readinto(self, buffer: Any) -> int:
        """Read up to so many bytes; 0 at the end."""
        if self.closed:
            raise ValueError("the file is closed")
        wanted = min(len(buffer), self._size - self._at)
        if wanted <= 0:
            return 0
        try:
            count = self._read(memoryview(buffer)[:wanted])
        except (BotoCoreError, ClientError) as error:
            raise ReadFailed(f"the storage failed while the picture was read ({type(error).__name__})") from error
        if count == 0:
            raise ReadFailed("the storage ended the picture too early")
        return count

    def close(self) -> None:
        """Give up what was not read, with its connection."""
        if not self.closed:
            self._drop()
        super().close()

    def _read(self, buffer: memoryview) -> int:
        """Read on, where the connection broke from another one. Raises BotoCoreError, ClientError."""
        while True:
            try:
                count: int = self._stream().readinto(buffer)
                break
            except (HTTPClientError, IncompleteReadError):
                self._drop()
                if not self._resumes:
                    raise
                self._resumes -= 1
        self._at += count
        self._body_at = self._at
        if self._at == self._size:  # at the end, its length and checksum are compared
            self._stream().read(1)
        return count

    def _stream(self) -> Any:
        if self._body is None or self._body_at != self._at:
            self._drop()
            self._body = self._open_from(self._at)
            self._body_at = self._at
        return self._body

    def _drop(self) -> None:
        if self._body is not None:
            self._body.close()
            self._body = None
