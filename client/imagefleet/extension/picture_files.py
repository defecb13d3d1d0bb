"""Reads picture files that others made: no other formats and no larger pictures than an extension works with."""

from __future__ import annotations

import io
import struct
import zlib

from PIL import Image

MAX_SIDE_PX = 8192
FORMATS = ("PNG", "JPEG", "WEBP")
# What Pillow raises for files that are damaged, or made to do harm.
DAMAGED = (OSError, SyntaxError, ValueError, EOFError, OverflowError, struct.error, zlib.error)


class UnreadablePicture(Exception):
    """The file is no picture, is damaged, or its picture is too large; the text says which."""


def size_of(content: bytes) -> tuple[int, int]:
    """Width and height in px, from the head of the file. Raises UnreadablePicture."""
    return _begun(content).size


def opened(content: bytes) -> Image.Image:
    """The picture with red, green, blue and alpha. Raises UnreadablePicture."""
    image = _begun(content)
    try:
        image.load()
    except DAMAGED as error:
        raise UnreadablePicture(f"it is damaged ({error})") from error
    if image.mode.startswith("I"):  # 16 bits of grey, of which Pillow's conversion would keep the lower ones
        image = image.point(lambda value: value / 256).convert("L")
    return image.convert("RGBA")


def _begun(content: bytes) -> Image.Image:
    """The picture, before its pixels are read, so that one which is too large takes no memory."""
    try:
        image = Image.open(io.BytesIO(content), formats=FORMATS)
    except Image.DecompressionBombError:
        raise UnreadablePicture(f"each side may have {MAX_SIDE_PX} px") from None
    except DAMAGED as error:
        raise UnreadablePicture("it is not a PNG, JPEG or WebP file") from error
    if max(image.size) > MAX_SIDE_PX:
        width, height = image.size
        raise UnreadablePicture(f"it has {width} × {height} px; each side may have {MAX_SIDE_PX}")
    return image
