"""PNG files of every kind are read as another library reads them."""

from __future__ import annotations

import io
import struct
import zlib
from typing import Any

import pytest
from PIL import Image

from imagefleet.extension.png import SIGNATURE
from imagefleet.extension.png_reading import Png, UnreadablePng, read_header
from tests.support.fake_generators import generated_image

SIZE = (37, 23)
PHOTO = generated_image(*SIZE)
FADING = Image.linear_gradient("L").resize(SIZE)


def saved(image: Image.Image, **options: Any) -> bytes:
    stream = io.BytesIO()
    image.save(stream, "PNG", **options)
    return stream.getvalue()


def with_alpha(image: Image.Image) -> Image.Image:
    image = image.copy()
    image.putalpha(FADING)
    return image


def pixels(content: bytes) -> bytes:
    """Red, green, blue and alpha of every pixel, as we read them."""
    png = Png(content)
    rows = (zip(*png.planes(y), strict=True) for y in range(png.height))
    return bytes(value for row in rows for pixel in row for value in pixel)


KINDS = {
    "colour": saved(PHOTO),
    "colour with alpha": saved(with_alpha(PHOTO)),
    "grey": saved(PHOTO.convert("L")),
    "grey with alpha": saved(with_alpha(PHOTO.convert("L"))),
    "256 colours": saved(PHOTO.quantize(256)),
    "16 colours, 4 bits": saved(PHOTO.quantize(16)),
    "4 colours, 2 bits": saved(PHOTO.quantize(4)),
    "a transparent colour": saved(PHOTO.quantize(8), transparency=bytes([0, 99, 255])),
    "black and white, 1 bit": saved(PHOTO.convert("1")),
}


@pytest.mark.parametrize("name", KINDS)
def test_every_kind_is_read_as_pillow_reads_it(name: str) -> None:
    assert pixels(KINDS[name]) == Image.open(io.BytesIO(KINDS[name])).convert("RGBA").tobytes()


def test_of_sixteen_bits_the_upper_eight_are_read() -> None:
    grey = Image.new("I;16", (2, 1))
    grey.putpixel((0, 0), 0x12FF)
    grey.putpixel((1, 0), 0xFE00)
    assert pixels(saved(grey)) == bytes([0x12, 0x12, 0x12, 255, 0xFE, 0xFE, 0xFE, 255])


def chunk(kind: bytes, content: bytes) -> bytes:
    return struct.pack(">I", len(content)) + kind + content + struct.pack(">I", zlib.crc32(kind + content))


def file_of(width: int, height: int, rows: bytes, *, depth: int = 8, interlaced: int = 0) -> bytes:
    """A file with these filtered rows of colour."""
    header = struct.pack(">IIBBBBB", width, height, depth, 2, 0, 0, interlaced)
    data = chunk(b"IDAT", zlib.compress(rows))
    return SIGNATURE + chunk(b"IHDR", header) + data + chunk(b"IEND", b"")


def test_every_filter_is_undone_as_pillow_does_it() -> None:
    values = bytes((index * 73 + 11) % 256 for index in range(12 * 5))
    rows = b"".join(bytes([kind]) + values[12 * kind : 12 * kind + 12] for kind in (4, 0, 1, 2, 3))
    content = file_of(4, 5, rows)
    assert pixels(content) == Image.open(io.BytesIO(content)).convert("RGBA").tobytes()


@pytest.mark.parametrize(
    ("content", "why"),
    [
        (b"", "not a PNG file"),
        (b"<svg/>", "not a PNG file"),
        (SIGNATURE, "not a PNG file"),
        (file_of(0, 1, b""), "not a PNG file"),
        (file_of(1, 1, bytes(4), depth=3), "not a PNG file"),
        (file_of(4, 5, bytes(7)), "cut off"),
        (file_of(1, 1, b"\x07abc"), "damaged"),
        (file_of(1, 1, bytes(4), interlaced=1), "interlaced"),
        (KINDS["colour"][:33] + chunk(b"IDAT", b"nonsense"), "damaged"),
    ],
)
def test_what_cannot_be_read_is_an_error_that_says_why(content: bytes, why: str) -> None:
    with pytest.raises(UnreadablePng, match=why):
        Png(content)


def test_rows_beyond_the_announced_size_are_not_unpacked() -> None:
    assert len(pixels(file_of(1, 1, bytes(100_000_000)))) == 4


def test_the_size_is_read_from_the_header_alone() -> None:
    header = read_header(KINDS["colour"][:33])
    assert (header.width, header.height) == SIZE
