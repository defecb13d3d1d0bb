"""Validating images and converting them to clean PNGs."""

from __future__ import annotations

import hashlib
import io
import random
import subprocess
import sys
import zlib
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from PIL import Image, ImageOps

from app.adapters.memory import limited_memory
from app.adapters.pictures import check_and_store_as_png, memory_needed
from app.domain.images import BadImage, ImageLimits, Picture
from app.domain.png import read_header
from tests.support.image_samples import (
    CLEANED,
    PALETTE,
    REFUSED,
    chunks_of,
    encoded,
    idat,
    ihdr,
    png,
    png_from_chunks,
    rotated_by_exif,
    sample_image,
)
from tests.support.image_samples import END as END_CHUNK
from tests.support.profiles import DISPLAY_P3, cmyk_profile, grey_profile

LIMITS = ImageLimits(max_bytes=2_000_000, max_pixels=1_000_000)
PALETTE_COLOUR = 3
ROOT = Path(__file__).parents[2]
CRITICAL = {b"IHDR", b"tRNS", b"IDAT", b"IEND"}
DEPTHS = {0: (1, 2, 4, 8, 16), 2: (8, 16), 3: (1, 2, 4, 8), 4: (8, 16), 6: (8, 16)}
WORK = {"decompressed": (zlib, "decompressobj"), "decoded": (Image, "_getdecoder"), "encoded": (Image, "_getencoder")}
# EXIF data: only the orientation; and an orientation followed by a resolution that is a text.
UPRIGHT = b"MM\0\x2a\0\0\0\x08\0\x01\x01\x12\0\x03\0\0\0\x01\0\x01\0\0\0\0\0\0"
ROTATED_AND_INVALID = (
    b"MM\0\x2a\0\0\0\x08\0\x02\x01\x12\0\x03\0\0\0\x01\0\x06\0\0\x01\x1a\0\x02\0\0\0\x02a\0\0\0\0\0\0\0"
)


def validated(data: bytes, limits: ImageLimits = LIMITS) -> tuple[Picture, bytes]:
    target = io.BytesIO()
    picture = check_and_store_as_png(io.BytesIO(data), target, limits)
    return picture, target.getvalue()


def opened(data: bytes) -> Image.Image:
    image = Image.open(io.BytesIO(data), formats=["PNG"])
    image.load()
    return image


@pytest.mark.parametrize("make", REFUSED.values(), ids=REFUSED.keys())
def test_an_invalid_image_is_refused(make: Callable[[], bytes]) -> None:
    with pytest.raises(BadImage) as caught:
        validated(make())
    assert not caught.value.retryable
    assert str(caught.value).endswith(".")


@pytest.mark.parametrize("make", CLEANED.values(), ids=CLEANED.keys())
def test_an_image_is_stored_without_metadata(make: Callable[[], bytes]) -> None:
    picture, stored = validated(make())
    assert (picture.width, picture.height) == (8, 8)
    assert {kind for kind, _ in chunks_of(stored)} <= CRITICAL
    assert stored.endswith(b"IEND\xaeB`\x82")
    assert b"script" not in stored
    assert b"payload" not in stored
    assert opened(stored).size == (8, 8)


@pytest.mark.parametrize(
    ("form", "mode"),
    [
        ("PNG", "RGB"),
        ("PNG", "RGBA"),
        ("PNG", "L"),
        ("PNG", "LA"),
        ("PNG", "1"),
        ("PNG", "P"),
        ("JPEG", "RGB"),
        ("JPEG", "L"),
        ("JPEG", "CMYK"),
        ("WEBP", "RGB"),
        ("WEBP", "RGBA"),
    ],
)
def test_an_image_of_any_usual_kind_looks_the_same_when_stored(form: str, mode: str) -> None:
    data = encoded(sample_image(48, 32, mode), form)
    picture, stored = validated(data)
    assert (picture.width, picture.height) == (48, 32)
    shown = opened(stored).convert("RGB")
    for at, colour in (((2, 2), (255, 0, 0)), ((40, 28), (255, 255, 255))):
        expected = sample_image(48, 32, mode).convert("RGB").getpixel(at) if mode in ("L", "LA", "1") else colour
        found = shown.getpixel(at)
        assert isinstance(found, tuple)
        assert isinstance(expected, tuple)
        assert all(abs(a - b) < 20 for a, b in zip(found, expected, strict=True))


def test_the_reported_size_and_hash_are_those_of_the_stored_file() -> None:
    picture, stored = validated(encoded(sample_image(), "WEBP"))
    assert picture == Picture(48, 32, len(stored), hashlib.sha256(stored).hexdigest())


@pytest.mark.parametrize("mode", ["RGB", "RGBA", "L", "LA", "1"])
def test_the_pixels_of_a_valid_png_are_not_compressed_again(mode: str) -> None:
    data = encoded(sample_image(48, 32, mode), "PNG", optimize=True)
    _, stored = validated(data)
    assert [chunk for chunk in chunks_of(data) if chunk[0] in CRITICAL] == chunks_of(stored)


@pytest.mark.parametrize("interlaced", [0, 1])
@pytest.mark.parametrize(
    ("colour", "depth"),
    [(colour, depth) for colour, depths in DEPTHS.items() for depth in depths],
)
def test_a_png_keeps_its_pixels_and_can_be_decoded_by_pillow(colour: int, depth: int, interlaced: int) -> None:
    randomness = random.Random(f"{colour} {depth} {interlaced}")
    for _ in range(20):
        data = filtered_at_random(
            randomness, ihdr(randomness.randint(1, 40), randomness.randint(1, 40), depth, colour, interlaced)
        )
        _, stored = validated(data)
        if colour == PALETTE_COLOUR:
            assert opened(stored).tobytes() == opened(data).convert("RGB").tobytes()
        else:
            assert stored == data
            opened(stored)


def test_a_png_with_invalid_filter_types_is_refused() -> None:
    randomness = random.Random(7)
    for _ in range(200):
        with pytest.raises(BadImage):
            validated(filtered_at_random(randomness, ihdr(5, 9), filters=range(5, 256)))


def filtered_at_random(randomness: random.Random, header: tuple[bytes, bytes], filters: range = range(5)) -> bytes:
    """A PNG with random rows, each with a filter type from `filters`, and with its IDAT split at a random position."""
    rows = b"".join(
        bytes([randomness.choice(filters)]) + randomness.randbytes(stride - 1)
        for stride, height in read_header(io.BytesIO(png_from_chunks(header))).passes
        for _ in range(height)
    )
    packed = zlib.compress(rows, randomness.randrange(10))
    cut = randomness.randrange(len(packed))
    palette = [(b"PLTE", randomness.randbytes(3 * randomness.randint(1, 256)))] if header[1][9] == 3 else []
    return png_from_chunks(header, *palette, (b"IDAT", packed[:cut]), (b"IDAT", packed[cut:]), END_CHUNK)


@pytest.mark.parametrize("between", [(), ((b"eXIf", UPRIGHT),)], ids=["bare", "with EXIF"])
def test_a_valid_png_is_decompressed_once_and_neither_decoded_nor_encoded(
    monkeypatch: pytest.MonkeyPatch, between: tuple[tuple[bytes, bytes], ...]
) -> None:
    work = {step: counted(monkeypatch, *function) for step, function in WORK.items()}
    assert validated(png(8, 8, *between))[1] == png(8, 8)
    assert {step: len(calls) for step, calls in work.items()} == {"decompressed": 1, "decoded": 0, "encoded": 0}


def test_a_jpeg_is_decoded_once_and_encoded_once(monkeypatch: pytest.MonkeyPatch) -> None:
    data = encoded(sample_image(), "JPEG")
    work = {step: counted(monkeypatch, *function) for step, function in WORK.items()}
    validated(data)
    assert {step: len(calls) for step, calls in work.items()} == {"decompressed": 0, "decoded": 1, "encoded": 1}


def counted(monkeypatch: pytest.MonkeyPatch, owner: object, name: str) -> list[None]:
    """A list that gets an entry for each call of the function."""
    calls: list[None] = []
    function = getattr(owner, name)

    def counting(*args: Any, **options: Any) -> Any:
        calls.append(None)
        return function(*args, **options)

    monkeypatch.setattr(owner, name, counting)
    return calls


def test_sixteen_bits_per_colour_are_kept() -> None:
    data = png_from_chunks(ihdr(8, 8, 16, 2), idat(8, 8, 48), END_CHUNK)
    assert validated(data)[1] == data


def test_a_palette_keeps_its_transparency() -> None:
    data = png_from_chunks(ihdr(8, 8, 2, 3), PALETTE, (b"tRNS", b"\0\x80"), (b"IDAT", idat(8, 8, 2)[1]), END_CHUNK)
    assert opened(validated(data)[1]).tobytes() == opened(data).convert("RGBA").tobytes()


@pytest.mark.parametrize(("mode", "key"), [("RGB", (255, 0, 0)), ("L", 76)])
def test_a_transparent_colour_is_kept(mode: str, key: object) -> None:
    data = encoded(sample_image(mode=mode), "PNG", transparency=key)
    assert opened(validated(data)[1]).convert("RGBA").tobytes() == opened(data).convert("RGBA").tobytes()
    rotated = encoded(sample_image(mode=mode), "PNG", transparency=key, exif=rotated_exif())
    assert opened(validated(rotated)[1]).getpixel((30, 2)) == (*opened(data).convert("RGBA").getpixel((2, 2))[:3], 0)


@pytest.mark.parametrize("form", ["JPEG", "WEBP", "PNG"])
def test_an_image_is_rotated_according_to_its_exif_orientation(form: str) -> None:
    picture, stored = validated(rotated_by_exif(form))
    assert (picture.width, picture.height) == (32, 48)
    red, green, blue = opened(stored).convert("RGB").getpixel((30, 2))  # type: ignore[misc]
    assert (red > 200, green < 80, blue < 80) == (True, True, True)
    assert {kind for kind, _ in chunks_of(stored)} <= CRITICAL


@pytest.mark.parametrize("form", ["JPEG", "WEBP", "PNG"])
def test_an_image_is_rotated_even_if_other_exif_data_is_invalid(form: str) -> None:
    picture, stored = validated(encoded(sample_image(), form, exif=b"Exif\0\0" + ROTATED_AND_INVALID))
    assert (picture.width, picture.height) == (32, 48)
    assert {kind for kind, _ in chunks_of(stored)} <= CRITICAL


def test_one_byte_or_pixel_above_the_limit_is_refused() -> None:
    for form in ("PNG", "JPEG", "WEBP"):
        data = encoded(sample_image(48, 32), form)
        validated(data, ImageLimits(len(data), 48 * 32))
        with pytest.raises(BadImage, match="bytes that are allowed"):
            validated(data, ImageLimits(len(data) - 1, 48 * 32))
        with pytest.raises(BadImage, match="pixels"):
            validated(data, ImageLimits(len(data), 48 * 32 - 1))


@pytest.mark.parametrize("form", ["PNG", "JPEG", "WEBP"])
def test_a_longer_side_than_the_limit_is_refused(form: str) -> None:
    data = encoded(sample_image(48, 32), form)
    validated(data, ImageLimits(len(data), 48 * 32, 48))
    with pytest.raises(BadImage, match="each side may have at most 47"):
        validated(data, ImageLimits(len(data), 48 * 32, 47))


def test_an_error_of_the_target_file_is_passed_on() -> None:
    class Full(io.BytesIO):
        def write(self, data: object) -> int:
            raise OSError(28, "No space left on device")

    for form in ("PNG", "JPEG", "WEBP"):
        with pytest.raises(OSError, match="No space left"):
            check_and_store_as_png(io.BytesIO(encoded(sample_image(), form)), Full(), LIMITS)


def test_the_memory_limit_ends_with_its_context() -> None:
    with limited_memory(64 * 2**20), pytest.raises(MemoryError):
        bytearray(256 * 2**20)
    assert len(bytearray(256 * 2**20)) == 256 * 2**20


def validated_in_a_process(data: bytes, max_pixels: int, extra_bytes: int) -> tuple[str, int]:
    """The verdict of a separate process on the bytes, and its peak memory in bytes."""
    command = [sys.executable, "-m", "tests.support.validate", str(max_pixels), str(extra_bytes)]
    done = subprocess.run(command, input=data, capture_output=True, check=True, cwd=ROOT)
    verdict, _, peak = done.stdout.decode().strip().rpartition("|")
    return verdict, int(peak)


@pytest.mark.parametrize("form", ["JPEG", "WEBP", "PNG"])
@pytest.mark.parametrize("exif", [b"garbage", b"MM\0\x2a\xff\xff\xff\xff", UPRIGHT[:12], b"MM\0\x2a\0\0\0\x08\xff\xff"])
def test_damaged_exif_data_are_dropped_without_a_word(form: str, exif: bytes, recwarn: pytest.WarningsRecorder) -> None:
    picture, stored = validated(encoded(sample_image(), form, exif=b"Exif\0\0" + exif))
    assert (picture.width, picture.height) == (48, 32)
    assert {kind for kind, _ in chunks_of(stored)} <= CRITICAL
    assert not recwarn.list


@pytest.mark.parametrize("form", ["WEBP", "PNG"])
def test_tens_of_thousands_of_damaged_exif_tags_cause_no_warnings(form: str, recwarn: pytest.WarningsRecorder) -> None:
    tag = b"\x01\x1a\0\x05\0\0\0\x01\xff\xff\xff\xff"
    exif = b"MM\0\x2a\0\0\0\x08\xff\xff" + b"".join(n.to_bytes(2, "big") + tag[2:] for n in range(65_535)) + bytes(4)
    data = encoded(sample_image(), "WEBP", exif=exif) if form == "WEBP" else png(48, 32, (b"eXIf", exif))
    assert validated(data)[0].width == 48
    assert not recwarn.list


@pytest.mark.parametrize("orientation", range(1, 9))
def test_every_exif_orientation_is_shown_as_pillow_shows_it(orientation: int) -> None:
    data = encoded(sample_image(), "PNG", exif=rotated_exif(orientation))
    expected = ImageOps.exif_transpose(opened(data))
    assert opened(validated(data)[1]).tobytes() == expected.tobytes()


def rotated_exif(orientation: int = 6) -> bytes:
    exif = Image.Exif()
    exif[0x0112] = orientation
    return exif.tobytes()


@pytest.mark.parametrize("form", ["JPEG", "WEBP"])
def test_a_decompression_bomb_is_refused_before_it_fills_the_memory(form: str) -> None:
    options = {"method": 0} if form == "WEBP" else {}
    data = encoded(Image.new("RGB", (6_000, 6_000)), form, **options)
    verdict, peak = validated_in_a_process(data, 10**9, 64 * 2**20)
    assert verdict.startswith("refused")
    assert peak < 160 * 2**20


def test_a_png_is_stored_without_memory_for_its_pixels() -> None:
    data = encoded(Image.new("RGB", (6_000, 6_000)), "PNG")
    verdict, peak = validated_in_a_process(data, 10**9, 64 * 2**20)
    assert verdict == "kept 6000 x 6000"
    assert peak < 160 * 2**20


@pytest.mark.parametrize(
    ("form", "mode", "profile"),
    [
        ("JPEG", "CMYK", cmyk_profile()),
        ("WEBP", "RGBA", DISPLAY_P3),
        ("PNG", "RGBA", DISPLAY_P3),
        ("PNG", "P", DISPLAY_P3),
        ("PNG", "I;16", grey_profile(1.0)),
    ],
)
def test_the_calculated_memory_is_enough(form: str, mode: str, profile: bytes) -> None:
    options = {"method": 0} if form == "WEBP" else {}
    image = Image.new(mode, (2_000, 2_000))
    data = encoded(image, form, exif=rotated_exif(), icc_profile=profile, **options)
    verdict, _ = validated_in_a_process(data, 4_000_000, memory_needed(ImageLimits(0, 4_000_000)))
    assert verdict == "kept 2000 x 2000"
