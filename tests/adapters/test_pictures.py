"""Judging pictures and making the clean PNG that is kept."""

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
from PIL import Image

from app.adapters.memory import limited_memory
from app.adapters.pictures import check_and_store_as_png, memory_needed
from app.domain.images import BadImage, ImageLimits, Picture
from app.domain.png import read_header
from tests.support.hostile_images import (
    CLEANED,
    PALETTE,
    REFUSED,
    chunks_of,
    drawn,
    from_chunks,
    idat,
    ihdr,
    png,
    saved,
    turned,
)
from tests.support.hostile_images import END as END_CHUNK

LIMITS = ImageLimits(max_bytes=2_000_000, max_pixels=1_000_000)
ROOT = Path(__file__).parents[2]
CRITICAL = {b"IHDR", b"PLTE", b"tRNS", b"IDAT", b"IEND"}
DEPTHS = {0: (1, 2, 4, 8, 16), 2: (8, 16), 3: (1, 2, 4, 8), 4: (8, 16), 6: (8, 16)}
WORK = {"unpacked": (zlib, "decompressobj"), "decoded": (Image, "_getdecoder"), "packed": (Image, "_getencoder")}
# EXIF data: the orientation alone, and one followed by a resolution that is a text.
UPRIGHT = b"MM\0\x2a\0\0\0\x08\0\x01\x01\x12\0\x03\0\0\0\x01\0\x01\0\0\0\0\0\0"
ON_ITS_SIDE_AND_ODD = (
    b"MM\0\x2a\0\0\0\x08\0\x02\x01\x12\0\x03\0\0\0\x01\0\x06\0\0\x01\x1a\0\x02\0\0\0\x02a\0\0\0\0\0\0\0"
)


def judged(data: bytes, limits: ImageLimits = LIMITS) -> tuple[Picture, bytes]:
    target = io.BytesIO()
    picture = check_and_store_as_png(io.BytesIO(data), target, limits)
    return picture, target.getvalue()


def opened(data: bytes) -> Image.Image:
    image = Image.open(io.BytesIO(data), formats=["PNG"])
    image.load()
    return image


@pytest.mark.parametrize("make", REFUSED.values(), ids=REFUSED.keys())
def test_refused_is(make: Callable[[], bytes]) -> None:
    with pytest.raises(BadImage) as caught:
        judged(make())
    assert not caught.value.retryable
    assert str(caught.value).endswith(".")


@pytest.mark.parametrize("make", CLEANED.values(), ids=CLEANED.keys())
def test_cleaned_is(make: Callable[[], bytes]) -> None:
    picture, stored = judged(make())
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
def test_a_picture_of_any_usual_kind_is_kept_as_it_looks(form: str, mode: str) -> None:
    data = saved(drawn(48, 32, mode), form)
    picture, stored = judged(data)
    assert (picture.width, picture.height) == (48, 32)
    shown = opened(stored).convert("RGB")
    for at, colour in (((2, 2), (255, 0, 0)), ((40, 28), (255, 255, 255))):
        wanted = drawn(48, 32, mode).convert("RGB").getpixel(at) if mode in ("L", "LA", "1") else colour
        found = shown.getpixel(at)
        assert isinstance(found, tuple)
        assert isinstance(wanted, tuple)
        assert all(abs(a - b) < 20 for a, b in zip(found, wanted, strict=True))


def test_what_is_said_of_a_picture_is_what_is_stored() -> None:
    picture, stored = judged(saved(drawn(), "WEBP"))
    assert picture == Picture(48, 32, len(stored), hashlib.sha256(stored).hexdigest())


@pytest.mark.parametrize("mode", ["RGB", "RGBA", "P", "1"])
def test_the_pixels_of_a_sound_png_are_not_packed_anew(mode: str) -> None:
    data = saved(drawn(48, 32, mode), "PNG", optimize=True)
    _, stored = judged(data)
    assert [chunk for chunk in chunks_of(data) if chunk[0] in CRITICAL] == chunks_of(stored)


@pytest.mark.parametrize("interlaced", [0, 1])
@pytest.mark.parametrize(
    ("colour", "depth"),
    [(colour, depth) for colour, depths in DEPTHS.items() for depth in depths],
)
def test_a_png_that_is_kept_as_it_is_packed_is_one_that_pillow_decodes(
    colour: int, depth: int, interlaced: int
) -> None:
    randomness = random.Random(f"{colour} {depth} {interlaced}")
    for _ in range(20):
        data = filtered_at_random(
            randomness, ihdr(randomness.randint(1, 40), randomness.randint(1, 40), depth, colour, interlaced)
        )
        _, stored = judged(data)
        assert stored == data
        opened(stored)


def test_a_png_whose_rows_are_no_rows_is_refused_whatever_else_is_sound() -> None:
    randomness = random.Random(7)
    for _ in range(200):
        with pytest.raises(BadImage):
            judged(filtered_at_random(randomness, ihdr(5, 9), filters=range(5, 256)))


def filtered_at_random(randomness: random.Random, header: tuple[bytes, bytes], filters: range = range(5)) -> bytes:
    """A PNG whose rows are any bytes, each behind a filter out of `filters`, its IDAT cut anywhere."""
    rows = b"".join(
        bytes([randomness.choice(filters)]) + randomness.randbytes(stride - 1)
        for stride, height in read_header(io.BytesIO(from_chunks(header))).passes
        for _ in range(height)
    )
    packed = zlib.compress(rows, randomness.randrange(10))
    cut = randomness.randrange(len(packed))
    palette = [(b"PLTE", randomness.randbytes(3 * randomness.randint(1, 256)))] if header[1][9] == 3 else []
    return from_chunks(header, *palette, (b"IDAT", packed[:cut]), (b"IDAT", packed[cut:]), END_CHUNK)


@pytest.mark.parametrize("between", [(), ((b"eXIf", UPRIGHT),)], ids=["bare", "with EXIF"])
def test_a_sound_png_is_unpacked_once_and_neither_decoded_nor_packed(
    monkeypatch: pytest.MonkeyPatch, between: tuple[tuple[bytes, bytes], ...]
) -> None:
    work = {step: counted(monkeypatch, *place) for step, place in WORK.items()}
    assert judged(png(8, 8, *between))[1] == png(8, 8)
    assert {step: len(calls) for step, calls in work.items()} == {"unpacked": 1, "decoded": 0, "packed": 0}


def test_a_jpeg_is_decoded_once_and_packed_once(monkeypatch: pytest.MonkeyPatch) -> None:
    data = saved(drawn(), "JPEG")
    work = {step: counted(monkeypatch, *place) for step, place in WORK.items()}
    judged(data)
    assert {step: len(calls) for step, calls in work.items()} == {"unpacked": 0, "decoded": 1, "packed": 1}


def counted(monkeypatch: pytest.MonkeyPatch, owner: object, name: str) -> list[None]:
    """One entry for each call of the function, from now on."""
    calls: list[None] = []
    function = getattr(owner, name)

    def counting(*args: Any, **options: Any) -> Any:
        calls.append(None)
        return function(*args, **options)

    monkeypatch.setattr(owner, name, counting)
    return calls


def test_sixteen_bits_a_colour_are_kept() -> None:
    data = from_chunks(ihdr(8, 8, 16, 2), idat(8, 8, 48), END_CHUNK)
    assert judged(data)[1] == data


def test_a_palette_keeps_its_transparency() -> None:
    data = from_chunks(ihdr(8, 8, 2, 3), PALETTE, (b"tRNS", b"\0\x80"), (b"IDAT", idat(8, 8, 2)[1]), END_CHUNK)
    assert judged(data)[1] == data


@pytest.mark.parametrize("form", ["JPEG", "WEBP", "PNG"])
def test_a_picture_that_lies_on_its_side_is_put_upright(form: str) -> None:
    picture, stored = judged(turned(form))
    assert (picture.width, picture.height) == (32, 48)
    red, green, blue = opened(stored).convert("RGB").getpixel((30, 2))  # type: ignore[misc]
    assert (red > 200, green < 80, blue < 80) == (True, True, True)
    assert {kind for kind, _ in chunks_of(stored)} <= CRITICAL


@pytest.mark.parametrize("form", ["JPEG", "WEBP", "PNG"])
def test_a_picture_is_put_upright_whatever_else_its_exif_data_says(form: str) -> None:
    picture, stored = judged(saved(drawn(), form, exif=b"Exif\0\0" + ON_ITS_SIDE_AND_ODD))
    assert (picture.width, picture.height) == (32, 48)
    assert {kind for kind, _ in chunks_of(stored)} <= CRITICAL


def test_one_byte_or_pixel_more_than_allowed_is_too_many() -> None:
    for form in ("PNG", "JPEG", "WEBP"):
        data = saved(drawn(48, 32), form)
        judged(data, ImageLimits(len(data), 48 * 32))
        with pytest.raises(BadImage, match="bytes that are allowed"):
            judged(data, ImageLimits(len(data) - 1, 48 * 32))
        with pytest.raises(BadImage, match="pixels"):
            judged(data, ImageLimits(len(data), 48 * 32 - 1))


def test_what_the_disk_raises_passes_through() -> None:
    class Full(io.BytesIO):
        def write(self, data: object) -> int:
            raise OSError(28, "No space left on device")

    for form in ("PNG", "JPEG", "WEBP"):
        with pytest.raises(OSError, match="No space left"):
            check_and_store_as_png(io.BytesIO(saved(drawn(), form)), Full(), LIMITS)


def test_the_limit_of_memory_ends_with_its_block() -> None:
    with limited_memory(64 * 2**20), pytest.raises(MemoryError):
        bytearray(256 * 2**20)
    assert len(bytearray(256 * 2**20)) == 256 * 2**20


def judged_elsewhere(data: bytes, max_pixels: int, extra_bytes: int) -> tuple[str, int]:
    """What a process of its own says of the bytes, and the most memory it held at any time, in bytes."""
    command = [sys.executable, "-m", "tests.support.judge", str(max_pixels), str(extra_bytes)]
    done = subprocess.run(command, input=data, capture_output=True, check=True, cwd=ROOT)
    verdict, _, peak = done.stdout.decode().strip().rpartition("|")
    return verdict, int(peak)


def test_a_png_whose_exif_data_is_none_is_refused() -> None:
    with pytest.raises(BadImage):
        judged(png(8, 8, (b"eXIf", b"garbage")))


@pytest.mark.parametrize("form", ["JPEG", "WEBP"])
def test_a_bomb_that_passes_for_a_picture_is_refused_before_it_fills_the_memory(form: str) -> None:
    options = {"method": 0} if form == "WEBP" else {}
    data = saved(Image.new("RGB", (6_000, 6_000)), form, **options)
    verdict, peak = judged_elsewhere(data, 10**9, 64 * 2**20)
    assert verdict.startswith("refused")
    assert peak < 160 * 2**20


def test_a_png_is_kept_without_room_for_its_pixels() -> None:
    data = saved(Image.new("RGB", (6_000, 6_000)), "PNG")
    verdict, peak = judged_elsewhere(data, 10**9, 64 * 2**20)
    assert verdict == "kept 6000 x 6000"
    assert peak < 160 * 2**20


@pytest.mark.parametrize("form", ["JPEG", "WEBP", "PNG"])
def test_the_memory_that_is_said_to_be_needed_is_enough(form: str) -> None:
    exif = Image.Exif()
    exif[0x0112] = 6
    options = {"method": 0} if form == "WEBP" else {}
    data = saved(Image.new("RGBA" if form != "JPEG" else "CMYK", (2_000, 2_000)), form, exif=exif.tobytes(), **options)
    verdict, _ = judged_elsewhere(data, 4_000_000, memory_needed(ImageLimits(0, 4_000_000)))
    assert verdict == "kept 2000 x 2000"
