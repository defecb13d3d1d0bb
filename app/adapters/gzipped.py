"""Files that arrive compressed although they were not asked for in that form."""

import gzip
import io
import zlib
from typing import BinaryIO

MAGIC = b"\x1f\x8b"
PIECE_BYTES = 65_536


class BadGzip(ValueError):
    """The compressed data are damaged or cut off."""


def unpack(file: BinaryIO, max_bytes: int) -> int:
    """Replace gzip data in `file` by their content; leave any other content as it is.

    The bytes decide, not the headers: hosts label good pictures as compressed, and compressed ones not at all.
    Returns the number of bytes, of which no more than `max_bytes` + PIECE_BYTES are unpacked: more than `max_bytes` are
    too many, and `file` then holds a part. Raises BadGzip.
    """
    file.seek(0)
    if file.read(len(MAGIC)) != MAGIC:
        return file.seek(0, io.SEEK_END)
    file.seek(0)
    packed = io.BytesIO(file.read())
    file.seek(0)
    file.truncate()
    size = 0
    with gzip.GzipFile(fileobj=packed) as unpacked:
        while size <= max_bytes and (piece := _piece(unpacked)):
            file.write(piece)
            size += len(piece)
    return size


def _piece(unpacked: gzip.GzipFile) -> bytes:
    try:
        return unpacked.read(PIECE_BYTES)
    except (OSError, EOFError, zlib.error) as error:
        raise BadGzip from error
