"""Downloads that are resumed and verified: the file is complete or does not exist.

What has arrived is in a `.part` file beside it, from which the same call goes on later, also in another process.
"""

from __future__ import annotations

import contextlib
import errno
import hashlib
import os
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import BinaryIO
from urllib.parse import quote, urlsplit

from imagefleet.calls.base import Call, nothing
from imagefleet.errors import ConnectionLost, ImagefleetError
from imagefleet.flows import Close, Flow, Head, NextPiece, Open, Patience, Sleep, Work
from imagefleet.models import StoredPicture

PIECE_BYTES = 1_048_576
LONGEST_NAME = 200
PARTIAL, RANGE_NOT_SATISFIABLE = 206, 416
# Called with the bytes that have arrived, and those of the whole file if they are known.
Progress = Callable[[int, int | None], object]


def path_of(picture: StoredPicture, *, signed: bool) -> str:
    """Where the server serves the picture; with `signed` with its signature, which a server may require without a key."""
    query = urlsplit(picture.signed_url or "").query if signed else ""
    return quote(picture.image_path, safe="/%") + (f"?{query}" if query else "")


def is_complete(picture: StoredPicture, file: Path) -> bool:
    """True if the file is the whole picture: of its size and SHA-256. False if the server did not say them."""
    if picture.sha256 is None:
        return False
    try:
        return picture.bytes in (None, file.stat().st_size) and _sha256(file) == picture.sha256
    except OSError:
        return False


def downloaded(
    path: str, picture: StoredPicture, target: Path, patience: Patience, progress: Progress | None
) -> Flow[Path]:
    """Save the picture as the file `target`. Faults are retried as long as more of it arrives."""
    part, retries, furthest = _Part(target, picture), patience.retries(), 0
    try:
        while True:
            try:
                yield from _attempt(path, part, progress or (lambda _have, _all: None))
                return target
            except ImagefleetError as error:
                if part.size > furthest:
                    furthest = part.size
                    retries.reset()
                pause_s = retries.pause_s(error)
            yield Close()
            yield Sleep(pause_s)
    finally:
        part.close()


def _attempt(path: str, part: _Part, progress: Progress) -> Flow[None]:
    yield Work(part.open)
    if part.missing != 0:
        head = yield from _opened(path, part)
        if head.status != PARTIAL:
            yield Work(part.restart)
        elif not _starts_at(head.headers, part.size):
            yield Work(part.restart)
            raise part.wrong()
        part.etag = _strong(head.headers.get("etag")) or part.etag
        progress(part.size, part.total)
        while part.missing != -1 and (piece := (yield NextPiece())) is not None:
            yield Work(lambda piece=piece: part.write(piece))  # type: ignore[misc] # mypy cannot infer such a lambda
            progress(part.size, part.total)
        yield Close()
    yield Work(part.finish)


def _opened(path: str, part: _Part) -> Flow[Head]:
    resumed = {"Range": f"bytes={part.size}-", "If-Range": part.etag} if part.size and part.etag else {}
    call = Call("GET", path, headers={"Accept": "*/*", **resumed}, read=nothing)
    try:
        head: Head = yield Open(call, as_file=True)
        return head
    except ImagefleetError as error:
        if error.status != RANGE_NOT_SATISFIABLE:
            raise
        yield Work(part.restart)
        raise part.wrong() from error


class _Part:
    """The file beside `target` that holds what has arrived. Its name has a part of the SHA-256: another picture starts anew."""

    def __init__(self, target: Path, picture: StoredPicture) -> None:
        self.size = 0
        self.total = picture.bytes
        self.etag = f'"{picture.sha256}"' if picture.sha256 else None  # that of the server itself
        self._target = target
        self._picture = picture
        mark = f".{picture.sha256[:8]}" if picture.sha256 else ""
        self._path = target.with_name(f"{_shortened(target.name)}{mark}.part")
        self._file: BinaryIO | None = None

    @property
    def missing(self) -> int | None:
        """How many bytes are still to come: -1 if there are too many already, None if that is not known."""
        return None if self.total is None else max(-1, self.total - self.size)

    def open(self) -> None:
        """Open the file where the last attempt ended. Raises OSError."""
        if self._target.is_dir():
            raise IsADirectoryError(errno.EISDIR, os.strerror(errno.EISDIR), str(self._target))
        if self._file is None:
            self._file = self._path.open("ab")
        self.size = self._file.seek(0, os.SEEK_END)
        if self.size and (self.etag is None or self.missing == -1):
            self.restart()

    def restart(self) -> None:
        """Forget what has arrived."""
        if self._file is not None:
            self._file.truncate(0)
        self.size = 0

    def write(self, piece: bytes) -> None:
        """Append what has arrived."""
        assert self._file is not None
        self._file.write(piece)
        self.size += len(piece)

    def finish(self) -> None:
        """Give the file its name. Raises ConnectionLost if it is not the picture that the server announced."""
        assert self._file is not None
        self._file.flush()
        os.fsync(self._file.fileno())
        if self.total not in (None, self.size) or self._picture.sha256 not in (None, _sha256(self._path)):
            self.restart()
            raise self.wrong()
        self._file.close()
        self._file = None
        os.replace(self._path, self._target)

    def wrong(self) -> ConnectionLost:
        """The error that this is not the picture."""
        path = self._picture.image_path
        return ConnectionLost(f"The download of {path} is not the picture that the server announced.")

    def close(self) -> None:
        """Close the file, and remove it if nothing of use has arrived."""
        if self._file is not None:
            with contextlib.suppress(OSError):  # such as a disk that is full
                self._file.close()
            self._file = None
            if self.size == 0 or self.etag is None:
                self._path.unlink(missing_ok=True)


def _sha256(file: Path) -> str:
    digest = hashlib.sha256()
    with file.open("rb") as content:
        while piece := content.read(PIECE_BYTES):
            digest.update(piece)
    return digest.hexdigest()


def _strong(etag: str | None) -> str | None:
    """An ETag that names the very same bytes, as If-Range needs it."""
    return etag if etag and etag.startswith('"') else None


def _starts_at(headers: Mapping[str, str], position: int) -> bool:
    return headers.get("content-range", "").startswith(f"bytes {position}-")


def _shortened(name: str) -> str:
    """The name, short enough for one with more at its end."""
    return name.encode(errors="surrogateescape")[:LONGEST_NAME].decode(errors="ignore")
