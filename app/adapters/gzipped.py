"""Files that arrive compressed although they were not asked for in that form."""

import io
import zlib
from typing import BinaryIO

MAGIC = b"\x1f\x8b"
MAX_MEMBERS = 100  # a file may consist of several compressed parts; a part of 20 bytes takes 10 µs
_GZIP = zlib.MAX_WBITS | 16


class BadGzip(ValueError):
    """The compressed data are damaged, cut off or in too many parts."""


def unpack(file: BinaryIO, max_bytes: int) -> int:
    """Replace gzip data in `file` by their content; leave any other content as it is.

    The bytes decide, not the headers: hosts label good pictures as compressed, and compressed ones not at all.
    Returns the number of bytes, of which no more than `max_bytes` + 1 are unpacked: more than `max_bytes` are too many, and
    `file` then holds a part. Raises BadGzip.
    """
    file.seek(0)
    if file.read(len(MAGIC)) != MAGIC:
        return file.seek(0, io.SEEK_END)
    file.seek(0)
    content = _unpacked(file.read(), max_bytes + 1)
    file.seek(0)
    file.truncate()
    return file.write(content)


def _unpacked(packed: bytes, most: int) -> bytes:
    """The content, or its first `most` bytes."""
    content = b""
    for _ in range(MAX_MEMBERS):
        inflate = zlib.decompressobj(_GZIP)
        try:
            content += inflate.decompress(packed, most - len(content))
        except zlib.error as error:
            raise BadGzip from error
        if len(content) == most:
            return content
        if not inflate.eof:
            raise BadGzip
        packed = inflate.unused_data.lstrip(b"\0")  # padding
        if not packed:
            return content
    raise BadGzip
