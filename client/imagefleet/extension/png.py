"""Writing PNG files, row by row, with the standard library alone."""

from __future__ import annotations

import struct
import zlib
from collections.abc import Iterable

SIGNATURE = b"\x89PNG\r\n\x1a\n"
_TRUE_COLOUR = struct.pack(">BBBBB", 8, 2, 0, 0, 0)
_UNFILTERED = b"\0"


def encode_png(width: int, height: int, rows: Iterable[bytes]) -> bytes:
    """A picture of `height` rows of `width` pixels of three bytes each: red, green, blue."""
    parts = [SIGNATURE, _chunk(b"IHDR", struct.pack(">II", width, height) + _TRUE_COLOUR)]
    packer = zlib.compressobj(4)
    for row in rows:
        packed = packer.compress(_UNFILTERED + row)
        if packed:
            parts.append(_chunk(b"IDAT", packed))
    return b"".join([*parts, _chunk(b"IDAT", packer.flush()), _chunk(b"IEND", b"")])


def _chunk(kind: bytes, content: bytes) -> bytes:
    return struct.pack(">I", len(content)) + kind + content + struct.pack(">I", zlib.crc32(kind + content))
