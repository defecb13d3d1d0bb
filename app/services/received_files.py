"""Bodies that are received into files."""

import hashlib
from collections.abc import Iterator
from typing import BinaryIO

from app.domain import upload_bodies
from app.domain.errors import InvalidRequest, PayloadTooLarge
from app.domain.images import HEAD_BYTES

PIECE_BYTES = 65_536


def receive_picture(stream: BinaryIO, file: BinaryIO, length: int | None, most: int) -> tuple[str, int]:
    """Copy a picture of at most `most` bytes; `length` is the Content-Length, if there was one. Returns its SHA-256 and size.

    Raises InvalidRequest, PayloadTooLarge. That the file begins as a picture does is all that is known of it then.
    """
    check_length(length, most)
    sha256, size = _copy(stream, file, most)
    if length is not None and size != length:
        raise InvalidRequest(f"The body ended after {size} of its {length} bytes.")
    if not size:
        raise InvalidRequest("The image has no bytes: send the file itself.")
    file.seek(0)
    upload_bodies.check(file.read(HEAD_BYTES))
    file.seek(0)
    return sha256, size


def check_length(length: int | None, most: int) -> None:
    """Raises PayloadTooLarge if a picture has more bytes than are allowed."""
    if length is not None and length > most:
        raise PayloadTooLarge(f"The image has more than the {most} bytes that are allowed.")


def _copy(stream: BinaryIO, file: BinaryIO, most: int) -> tuple[str, int]:
    digest = hashlib.sha256()
    size = 0
    for piece in _pieces(stream):
        size += len(piece)
        check_length(size, most)
        digest.update(piece)
        file.write(piece)
    return digest.hexdigest(), size


def _pieces(stream: BinaryIO) -> Iterator[bytes]:
    while True:
        try:
            piece = stream.read(PIECE_BYTES)
        except OSError as error:
            raise InvalidRequest("The body ended early.") from error
        if not piece:
            return
        yield piece
