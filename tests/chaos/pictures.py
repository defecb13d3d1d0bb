"""Pictures that contain their origin, so that a stored one can be compared with the extension that should have made it."""

from __future__ import annotations

import io
import struct
import zlib
from dataclasses import astuple, dataclass

from PIL import Image

_PACKED = struct.Struct(">HBHBH")


@dataclass(frozen=True, slots=True)
class Stamp:
    """The origin of a picture: number of the request, extension and its offer, position, and number of the download.

    Downloads count from 1; `fetch` is 0 for a picture that was not downloaded.
    """

    number: int
    extension: int
    offer: int
    position: int
    fetch: int = 0


def draw(stamp: Stamp, size: int = 8) -> bytes:
    """A square PNG of `size` pixels with the stamp in its first row."""
    packed = _PACKED.pack(*astuple(stamp))
    packed += zlib.crc32(packed).to_bytes(4)
    image = Image.new("RGB", (size, size), "teal")
    for column in range(4):
        image.putpixel((column, 0), tuple(packed[3 * column : 3 * column + 3]))
    file = io.BytesIO()
    image.save(file, "PNG", compress_level=1)
    return file.getvalue()


def read(data: bytes) -> Stamp | None:
    """The stamp of a picture; None if there is none."""
    try:
        image = Image.open(io.BytesIO(data))
        image.load()
    except (OSError, SyntaxError, ValueError):
        return None
    pixels = [image.convert("RGB").getpixel((column, 0)) for column in range(min(4, image.width))]
    packed = bytes(value for pixel in pixels if isinstance(pixel, tuple) for value in pixel)
    if len(packed) != 12 or zlib.crc32(packed[:8]) != int.from_bytes(packed[8:]):
        return None
    return Stamp(*_PACKED.unpack(packed[:8]))
