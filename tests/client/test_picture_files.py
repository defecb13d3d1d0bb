"""Picture files of every kind are read, and what is none, or is too large, is refused before it takes memory."""

from __future__ import annotations

import io
import struct
import zlib
from typing import Any

import pytest
from PIL import Image

from imagefleet.extension.picture_files import UnreadablePicture, opened, size_of
from tests.support.fake_generators import generated_image
from tests.support.input_images import png

SIZE = (37, 23)
PHOTO = generated_image(*SIZE)


def saved(image: Image.Image, kind: str, **options: Any) -> bytes:
    stream = io.BytesIO()
    image.save(stream, kind, **options)
    return stream.getvalue()


def with_alpha(image: Image.Image) -> Image.Image:
    image = image.copy()
    image.putalpha(Image.linear_gradient("L").resize(SIZE))
    return image


def claiming(width: int, height: int) -> bytes:
    """A PNG file of a few bytes whose head names this size."""
    head = struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    chunks = [(b"IHDR", head), (b"IDAT", zlib.compress(bytes(1000))), (b"IEND", b"")]
    body = [
        struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data)) for kind, data in chunks
    ]
    return b"\x89PNG\r\n\x1a\n" + b"".join(body)


KINDS = {
    "colour": saved(PHOTO, "PNG"),
    "colour with alpha": saved(with_alpha(PHOTO), "PNG"),
    "grey with alpha": saved(with_alpha(PHOTO.convert("L")), "PNG"),
    "a transparent colour": saved(PHOTO.quantize(8), "PNG", transparency=bytes([0, 99, 255])),
    "JPEG": saved(PHOTO, "JPEG"),
    "WebP with alpha": saved(with_alpha(PHOTO), "WEBP", lossless=True),
}


@pytest.mark.parametrize("name", KINDS)
def test_every_kind_is_read_with_its_alpha(name: str) -> None:
    content = KINDS[name]
    assert size_of(content) == SIZE
    assert opened(content).tobytes() == Image.open(io.BytesIO(content)).convert("RGBA").tobytes()


def test_of_sixteen_bits_the_upper_eight_are_read() -> None:
    grey = Image.new("I;16", (2, 1))
    grey.putpixel((0, 0), 0x12FF)
    grey.putpixel((1, 0), 0xFE00)
    assert opened(png(grey)).tobytes() == bytes([0x12, 0x12, 0x12, 255, 0xFE, 0xFE, 0xFE, 255])


@pytest.mark.parametrize(
    ("content", "why"),
    [
        (b"", "not a PNG, JPEG or WebP file"),
        (b"<svg/>", "not a PNG, JPEG or WebP file"),
        (saved(PHOTO, "GIF"), "not a PNG, JPEG or WebP file"),
        (KINDS["colour"][:20], "not a PNG, JPEG or WebP file"),
        (claiming(8193, 1), "it has 8193 × 1 px; each side may have 8192"),
        (claiming(60_000, 60_000), "each side may have 8192"),
    ],
    ids=["nothing", "SVG", "GIF", "half a head", "too wide", "a bomb"],
)
def test_what_is_no_picture_or_too_large_is_refused_by_its_head(content: bytes, why: str) -> None:
    for read in (size_of, opened):
        with pytest.raises(UnreadablePicture, match=why):
            read(content)


@pytest.mark.parametrize(
    "content",
    [KINDS["colour"][:60], KINDS["JPEG"][:-200], KINDS["WebP with alpha"][:-200], claiming(100, 100)],
    ids=["half a PNG", "half a JPEG", "half a WebP", "too few pixels"],
)
def test_a_damaged_file_is_refused(content: bytes) -> None:
    with pytest.raises(UnreadablePicture, match=r"damaged|not a PNG"):
        opened(content)
