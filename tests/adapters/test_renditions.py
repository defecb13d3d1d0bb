"""Thumbnails and conversions of pictures."""

from __future__ import annotations

import io
import os
import random
import signal
from contextlib import ExitStack, closing
from pathlib import Path
from typing import Any

import pytest
from PIL import Image, ImageStat

from app.adapters import decoders
from app.adapters.decoders import DecoderPool
from app.adapters.pictures import check_and_store_as_png
from app.adapters.renditions import render
from app.domain.images import THUMBNAILS, BadImage, ImageLimits, Rendition
from tests.support.image_samples import END as END_CHUNK
from tests.support.image_samples import encoded, idat, ihdr, png, png_from_chunks, sample_image

LIMITS = ImageLimits(max_bytes=20_000_000, max_pixels=20_000_000)
RED, WHITE = (255, 0, 0), (255, 255, 255)


def stored(data: bytes) -> bytes:
    """The picture as it is stored."""
    target = io.BytesIO()
    check_and_store_as_png(io.BytesIO(data), target, LIMITS)
    return target.getvalue()


def rendered(data: bytes, rendition: Rendition) -> Image.Image:
    """The rendition of a picture that is stored first."""
    target = io.BytesIO()
    render(io.BytesIO(stored(data)), target, rendition)
    image = Image.open(target)
    image.load()
    return image


def with_thumbnails(data: bytes) -> dict[Rendition, bytes]:
    """The thumbnails that are made when the picture is stored."""
    files = {each: io.BytesIO() for each in THUMBNAILS}
    check_and_store_as_png(io.BytesIO(data), io.BytesIO(), LIMITS, files)
    return {each: file.getvalue() for each, file in files.items()}


def near(colour: Any, wanted: tuple[int, ...]) -> bool:
    return all(abs(one - other) < 12 for one, other in zip(colour, wanted, strict=True))


def sizes(thumbnails: dict[Rendition, bytes]) -> dict[Rendition, tuple[int, int]]:
    return {each: Image.open(io.BytesIO(content), formats=["WEBP"]).size for each, content in thumbnails.items()}


@pytest.mark.parametrize(
    ("size", "small", "large"),
    [
        ((2048, 1024), (256, 128), (1024, 512)),
        ((1024, 1536), (171, 256), (683, 1024)),
        ((600, 300), (256, 128), (600, 300)),
        ((48, 32), (48, 32), (48, 32)),
        ((1, 1), (1, 1), (1, 1)),
        ((1, 16_384), (1, 256), (1, 1024)),
        ((16_384, 1), (256, 1), (1024, 1)),
    ],
)
def test_thumbnails_have_the_longer_side_and_never_more_than_the_picture(
    size: tuple[int, int], small: tuple[int, int], large: tuple[int, int]
) -> None:
    data = encoded(sample_image(*size), "JPEG")
    expected = {Rendition.SMALL: small, Rendition.LARGE: large}
    assert {each: rendered(data, each).size for each in THUMBNAILS} == expected
    assert sizes(with_thumbnails(data)) == expected


@pytest.mark.parametrize("rendition", Rendition)
@pytest.mark.parametrize("mode", ["1", "L", "P", "RGB", "RGBA", "LA", "I;16"])
def test_pictures_of_every_mode_have_renditions(mode: str, rendition: Rendition) -> None:
    source = sample_image(1500, 1000)
    image = deep(source) if mode == "I;16" else source.convert(mode)
    shown = rendered(encoded(image, "PNG"), rendition)
    assert shown.format == ("JPEG" if rendition is Rendition.JPEG else "WEBP")
    width, height = shown.size
    corner = shown.convert("RGB").crop((0, 0, width // 4, height // 4))
    assert near(ImageStat.Stat(corner).mean, RED if mode in ("RGB", "RGBA", "P") else (76, 76, 76))
    assert near(shown.convert("RGB").getpixel((width - 1, height - 1)), WHITE)


def deep(image: Image.Image) -> Image.Image:
    """The picture in grey of 16 bits."""
    return image.convert("L").convert("I").point(lambda value: value * 257).convert("I;16")


def test_a_cmyk_picture_has_thumbnails_in_its_own_colours() -> None:
    thumbnails = with_thumbnails(encoded(sample_image(1500, 1000, "CMYK"), "JPEG"))
    small = Image.open(io.BytesIO(thumbnails[Rendition.SMALL]))
    assert near(small.getpixel((1, 1)), RED)
    assert near(small.getpixel((255, 100)), WHITE)


@pytest.mark.parametrize("rendition", [each for each in Rendition if each is not Rendition.JPEG])
@pytest.mark.parametrize("mode", ["RGBA", "LA"])
def test_transparency_is_kept_in_webp(mode: str, rendition: Rendition) -> None:
    image = sample_image(600, 600, "RGB").convert(mode)
    image.putalpha(Image.new("L", (600, 600), 0))
    shown = rendered(encoded(image, "PNG"), rendition)
    assert shown.mode == "RGBA"
    assert shown.getchannel("A").getextrema() == (0, 0)


def test_transparency_becomes_white_in_jpeg() -> None:
    image = sample_image(600, 600).convert("RGBA")
    image.putalpha(Image.new("L", (600, 600), 0))
    shown = rendered(encoded(image, "PNG"), Rendition.JPEG)
    assert (shown.mode, shown.getextrema()) == ("RGB", ((255, 255),) * 3)


def test_a_colour_that_is_transparent_becomes_white_in_jpeg() -> None:
    data = encoded(sample_image(60, 60), "PNG", transparency=RED)
    assert near(rendered(data, Rendition.JPEG).getpixel((1, 1)), WHITE)


def test_a_conversion_has_the_size_of_the_picture_and_no_metadata() -> None:
    exif = Image.Exif()
    exif[0x010E] = "secret"
    data = encoded(sample_image(1500, 1200), "JPEG", exif=exif.tobytes())
    for rendition in (Rendition.WEBP, Rendition.JPEG):
        shown = rendered(data, rendition)
        assert shown.size == (1500, 1200)
        assert not shown.getexif()
        assert "icc_profile" not in shown.info


def test_thumbnails_of_a_picture_that_is_rotated_are_upright() -> None:
    exif = Image.Exif()
    exif[0x0112] = 6
    data = encoded(sample_image(480, 320), "JPEG", exif=exif.tobytes())
    assert sizes(with_thumbnails(data)) == {Rendition.SMALL: (171, 256), Rendition.LARGE: (320, 480)}


@pytest.mark.parametrize(
    "data",
    [
        encoded(sample_image(), "JPEG"),
        encoded(sample_image(), "WEBP"),
        png_from_chunks(ihdr(8, 8, 8, 3), (b"PLTE", bytes(range(256)) * 3), idat(8, 8, 8), END_CHUNK),
    ],
    ids=["JPEG", "WEBP", "palette"],
)
def test_thumbnails_of_pictures_that_are_decoded_are_made_with_them(data: bytes) -> None:
    assert all(with_thumbnails(data).values())


def test_a_png_that_is_stored_as_it_is_is_not_decoded_for_its_thumbnails() -> None:
    assert not any(with_thumbnails(png(600, 600)).values())


def test_thumbnails_do_not_change_what_is_stored() -> None:
    data, target = encoded(sample_image(1500, 1000), "JPEG"), io.BytesIO()
    check_and_store_as_png(io.BytesIO(data), target, LIMITS, {each: io.BytesIO() for each in THUMBNAILS})
    assert target.getvalue() == stored(data)


class FullDisk(io.BytesIO):
    """Takes some bytes, then no more."""

    def write(self, data: Any) -> int:
        super().write(data[:10])
        raise OSError(28, "No space left on device")


def test_a_thumbnail_that_cannot_be_written_fails_no_picture() -> None:
    files = {Rendition.SMALL: FullDisk(), Rendition.LARGE: io.BytesIO()}
    target = io.BytesIO()
    picture = check_and_store_as_png(io.BytesIO(encoded(sample_image(600, 300), "JPEG")), target, LIMITS, files)
    assert (picture.width, picture.bytes) == (600, len(target.getvalue()))
    assert [file.getvalue() for file in files.values()] == [b"", b""]


@pytest.mark.parametrize("damaged", [b"", b"rubbish", png(600, 600)[:500], encoded(sample_image(), "JPEG")])
def test_a_stored_file_that_is_damaged_has_no_renditions(damaged: bytes) -> None:
    with pytest.raises(BadImage, match="cannot be decoded"):
        render(io.BytesIO(damaged), io.BytesIO(), Rendition.SMALL)


# -- in decoders


def in_decoder(pool: DecoderPool, folder: Path, content: bytes, rendition: Rendition) -> bytes:
    with (folder / "source").open("w+b") as source, (folder / "target").open("w+b") as target:
        source.write(content)  # not flushed
        pool.render(source, target, rendition)
        return target.read()


def test_a_decoder_makes_renditions(tmp_path: Path) -> None:
    with closing(DecoderPool(1)) as pool:
        made = in_decoder(pool, tmp_path, png(600, 300), Rendition.SMALL)
        assert Image.open(io.BytesIO(made), formats=["WEBP"]).size == (256, 128)
        with pytest.raises(BadImage, match="cannot be decoded"):
            in_decoder(pool, tmp_path, b"rubbish", Rendition.SMALL)


def test_a_decoder_makes_the_thumbnails_of_a_picture_it_validates(tmp_path: Path) -> None:
    with closing(DecoderPool(1)) as pool, ExitStack() as files:
        source, target, *thumbnails = [
            files.enter_context((tmp_path / name).open("w+b")) for name in ("source", "target", *THUMBNAILS)
        ]
        source.write(encoded(sample_image(600, 300), "WEBP"))
        pool(source, target, LIMITS, dict(zip(THUMBNAILS, thumbnails, strict=True)))
        made = {each: file.read() for each, file in zip(THUMBNAILS, thumbnails, strict=True)}
        assert sizes(made) == {Rendition.SMALL: (256, 128), Rendition.LARGE: (600, 300)}


def die_once(source: str, target: str, rendition: Rendition) -> None:
    """Writes something and ends its process, the first time."""
    if not Path(f"{target}.died").exists():
        Path(f"{target}.died").touch()
        Path(target).write_bytes(random.Random(1).randbytes(100_000))
        os.kill(os.getpid(), signal.SIGKILL)
    RENDER(source, target, rendition)


RENDER = decoders._render


def test_a_rendition_whose_decoder_is_killed_is_made_by_another_one(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with closing(DecoderPool(1)) as pool:
        whole = in_decoder(pool, tmp_path, png(600, 300), Rendition.WEBP)
        monkeypatch.setattr(decoders, "_render", die_once)
        assert in_decoder(pool, tmp_path, png(600, 300), Rendition.WEBP) == whole
    assert (tmp_path / "target.died").exists()
