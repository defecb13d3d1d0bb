"""Pictures look the same when they are stored, whatever their colours are stated in."""

from __future__ import annotations

import io
import struct
import zlib
from typing import Any

import pytest
from PIL import Image, ImageCms

from app.adapters.pictures import check_and_store_as_png
from app.domain.icc import BT709, D65, Primaries, rgb_profile, srgb_curve
from app.domain.images import ImageLimits
from tests.support.image_samples import END, Chunk, chunks_of, encoded, ihdr, png_from_chunks, sample_image
from tests.support.profiles import DISPLAY_P3, P3_OF_RED, cmyk_profile, grey_profile

LIMITS = ImageLimits(max_bytes=2_000_000, max_pixels=1_000_000)
EXACT: dict[str, dict[str, object]] = {
    "PNG": {},
    "WEBP": {"lossless": True},
    "JPEG": {"quality": 100, "subsampling": 0},
}
SRGB = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()
GREY = (128, 128, 128)
RED = (255, 0, 0)
P3_POINTS = (31_270, 32_900, 68_000, 32_000, 26_500, 69_000, 15_000, 6_000)
SRGB_POINTS = (31_270, 32_900, 64_000, 33_000, 30_000, 60_000, 15_000, 6_000)


def stored(data: bytes) -> bytes:
    target = io.BytesIO()
    check_and_store_as_png(io.BytesIO(data), target, LIMITS)
    assert not {kind for kind, _ in chunks_of(target.getvalue())} - {b"IHDR", b"tRNS", b"IDAT", b"IEND"}
    return target.getvalue()


def decoded(data: bytes) -> Image.Image:
    image = Image.open(io.BytesIO(data))
    image.load()
    return image


def colour_of(data: bytes) -> tuple[int, ...]:
    pixel = decoded(stored(data)).getpixel((0, 0))
    return pixel if isinstance(pixel, tuple) else (int(pixel or 0),)


def pixel(colour: tuple[int, ...], *chunks: Chunk) -> bytes:
    """A PNG of one pixel that states its colour space in chunks."""
    return png_from_chunks(ihdr(1, 1), *chunks, (b"IDAT", zlib.compress(b"\0" + bytes(colour))), END)


def gamma(value: int) -> Chunk:
    return b"gAMA", struct.pack(">I", value)


def chromaticities(*points: int) -> Chunk:
    return b"cHRM", struct.pack(">8I", *points)


def code_points(*points: int) -> Chunk:
    return b"cICP", bytes(points)


def embedded(profile: bytes) -> Chunk:
    return b"iCCP", b"any name\0\0" + zlib.compress(profile)


@pytest.mark.parametrize("form", EXACT)
def test_a_wide_profile_is_converted_before_it_is_dropped(form: str) -> None:
    data = encoded(Image.new("RGB", (8, 8), P3_OF_RED), form, icc_profile=DISPLAY_P3, **EXACT[form])
    assert colour_of(data) == pytest.approx(RED, abs=2)


@pytest.mark.parametrize("form", ["PNG", "WEBP"])
def test_transparency_survives_the_conversion(form: str) -> None:
    data = encoded(Image.new("RGBA", (8, 8), (*P3_OF_RED, 99)), form, icc_profile=DISPLAY_P3, **EXACT[form])
    assert colour_of(data) == pytest.approx((*RED, 99), abs=2)


def test_a_palette_is_converted() -> None:
    image = Image.new("P", (8, 8))
    image.putpalette(bytes(P3_OF_RED))
    assert colour_of(encoded(image, "PNG", icc_profile=DISPLAY_P3)) == pytest.approx(RED, abs=2)
    assert colour_of(encoded(image, "PNG", icc_profile=DISPLAY_P3, transparency=b"\x40")) == (255, 0, 0, 64)


@pytest.mark.parametrize(
    ("inks", "colour"),
    [((255, 0, 0, 0), RED), ((0, 0, 0, 0), (255, 255, 255)), ((0, 255, 0, 0), (0, 0, 0)), ((0, 0, 0, 255), (0, 0, 0))],
)
def test_the_profile_of_a_cmyk_jpeg_says_how_its_inks_look(inks: tuple[int, ...], colour: tuple[int, ...]) -> None:
    data = encoded(Image.new("CMYK", (8, 8), inks), "JPEG", icc_profile=cmyk_profile(), **EXACT["JPEG"])
    assert colour_of(data) == pytest.approx(colour, abs=2)


@pytest.mark.parametrize(("form", "mode"), [("PNG", "L"), ("PNG", "LA"), ("PNG", "I;16"), ("JPEG", "L")])
def test_grey_values_are_converted(form: str, mode: str) -> None:
    middle: Any = {"L": 128, "LA": (128, 77), "I;16": 128 * 257}[mode]
    data = encoded(Image.new(mode, (8, 8), middle), form, icc_profile=grey_profile(1.0))
    assert colour_of(data) == pytest.approx((188, 77) if mode == "LA" else (188,), abs=1)


@pytest.mark.parametrize(
    ("chunks", "colour"),
    [
        ([gamma(100_000)], 188),
        ([gamma(55_556)], 146),
        ([gamma(100_000), chromaticities(*SRGB_POINTS)], 188),
        ([code_points(1, 8, 0, 1)], 188),
        ([code_points(1, 4, 0, 1)], 129),
        ([code_points(1, 13, 0, 0)], 130),
        ([code_points(9, 16, 0, 1)], 181),
        ([code_points(9, 18, 0, 1)], 137),
        ([embedded(rgb_profile(BT709, lambda value: value)), gamma(45_455)], 188),
        ([code_points(1, 13, 0, 1), embedded(rgb_profile(BT709, lambda value: value))], 128),
        ([code_points(1, 8, 0, 1), (b"sRGB", b"\0")], 188),
    ],
)
def test_a_png_may_state_how_bright_its_values_are(chunks: list[Chunk], colour: int) -> None:
    assert colour_of(pixel(GREY, *chunks)) == pytest.approx((colour,) * 3, abs=1)


@pytest.mark.parametrize(
    "chunks",
    [[code_points(12, 13, 0, 1)], [chromaticities(*P3_POINTS)], [chromaticities(*P3_POINTS), gamma(45_455)]],
)
def test_a_png_may_state_what_its_primaries_are(chunks: list[Chunk]) -> None:
    assert colour_of(pixel(P3_OF_RED, *chunks)) == pytest.approx(RED, abs=2)


@pytest.mark.parametrize(
    "chunks",
    [
        [],
        [(b"sRGB", b"\0"), gamma(100_000)],
        [gamma(45_455)],
        [gamma(45_454), chromaticities(*SRGB_POINTS)],
        [code_points(1, 13, 0, 1)],
        [code_points(1, 1, 0, 1)],
        [embedded(SRGB)],
        [embedded(rgb_profile(BT709, srgb_curve))],
        [embedded(b"no profile")],
        [embedded(cmyk_profile())],
        [embedded(DISPLAY_P3[:300])],
        [(b"iCCP", b"name\0\0no zlib stream")],
        [(b"iCCP", b"no end of the name")],
        [(b"iCCP", b"bomb\0\0" + zlib.compress(bytes(50_000_000)))],
        [gamma(0)],
        [(b"gAMA", b"\0")],
        [chromaticities(*[0] * 8)],
        [chromaticities(*[33_333] * 8)],
        [chromaticities(*[2**32 - 1] * 8)],
        [code_points(12, 13, 1, 1)],
        [code_points(200, 13, 0, 1)],
        [code_points(1, 200, 0, 1)],
        [(b"cICP", b"")],
    ],
)
def test_a_png_in_srgb_or_in_no_colour_space_at_all_keeps_its_pixels(chunks: list[Chunk]) -> None:
    assert decoded(stored(pixel(P3_OF_RED, *chunks))).tobytes() == bytes(P3_OF_RED)


@pytest.mark.parametrize("form", EXACT)
@pytest.mark.parametrize("profile", [SRGB, b"no profile", cmyk_profile(), grey_profile(1.0)])
def test_a_picture_whose_profile_is_srgb_or_unusable_keeps_its_pixels_bit_for_bit(form: str, profile: bytes) -> None:
    data = encoded(sample_image(), form, icc_profile=profile, **EXACT[form])
    assert decoded(stored(data)).tobytes() == decoded(data).tobytes()


def test_a_png_in_srgb_is_not_compressed_again() -> None:
    data = encoded(sample_image(), "PNG", icc_profile=SRGB)
    assert [chunk for chunk in chunks_of(data) if chunk[0] != b"iCCP"] == chunks_of(stored(data))


def test_a_picture_may_be_rotated_and_converted() -> None:
    exif = Image.Exif()
    exif[0x0112] = 6
    image = Image.new("RGB", (8, 4), P3_OF_RED)
    for form, options in EXACT.items():
        shown = decoded(stored(encoded(image, form, icc_profile=DISPLAY_P3, exif=exif.tobytes(), **options)))
        assert shown.size == (4, 8)
        assert shown.getpixel((0, 0)) == pytest.approx(RED, abs=2)


def test_impossible_primaries_are_an_error() -> None:
    with pytest.raises(ValueError, match="no colour space"):
        rgb_profile(Primaries(D65, (0.3, 0.3), (0.3, 0.3), (0.3, 0.3)), srgb_curve)
