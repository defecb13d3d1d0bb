"""File names, formats and sizes of pictures."""

from __future__ import annotations

import io

import pytest
from PIL import Image

from app.domain.images import (
    HEAD_BYTES,
    BadImage,
    ImageLimits,
    Rendition,
    check_pixels,
    file_name,
    format_of,
    is_file_name,
    is_stored_name,
    parse_rendition_name,
    rendition_name,
    stored_names,
    webp_size,
)

REQUEST = "550e8400-e29b-41d4-a716-446655440000"


def test_a_file_is_named_after_its_request_and_time() -> None:
    assert file_name(REQUEST, 1705238520000) == f"{REQUEST}_1705238520000.png"
    assert is_file_name(file_name(REQUEST, 1705238520000))


@pytest.mark.parametrize(
    ("request_id", "stamp"), [("../../etc/passwd", 1), (REQUEST, -1), (REQUEST.upper(), 1), ("", 1)]
)
def test_invalid_file_names_are_never_made(request_id: str, stamp: int) -> None:
    with pytest.raises(ValueError, match="not a name that pictures have"):
        file_name(request_id, stamp)


@pytest.mark.parametrize(
    "name",
    [
        "",
        ".",
        "..",
        f"../{REQUEST}_1.png",
        f"/{REQUEST}_1.png",
        f"{REQUEST}_1.png/",
        f"{REQUEST}_1.png\n",
        f"{REQUEST}_1.png\0",
        f"{REQUEST}_1.PNG",
        f"{REQUEST}_1.png.part",
        f"{REQUEST}_.png",
        f"{REQUEST}_١.png",
        f"{REQUEST}_12345678901234567.png",
        f"{REQUEST}_1%2epng",
        ".staging",
    ],
)
def test_other_names_are_not_file_names(name: str) -> None:
    assert not is_file_name(name)
    assert not is_stored_name(name)


@pytest.mark.parametrize("rendition", Rendition)
def test_a_rendition_is_named_after_its_picture(rendition: Rendition) -> None:
    name = rendition_name(f"{REQUEST}_17.png", rendition)
    assert name == f"{REQUEST}_17.{rendition}"
    assert parse_rendition_name(name) == (f"{REQUEST}_17.png", rendition)
    assert is_stored_name(name)
    assert not is_file_name(name)


@pytest.mark.parametrize("end", ["", "png", "gif", "512.webp", "256xwebp", "256.webp\n", "webp.png", "../x.webp"])
def test_other_names_are_no_renditions(end: str) -> None:
    assert parse_rendition_name(f"{REQUEST}_17.{end}") is None


def test_formats_are_recognised_by_their_first_bytes() -> None:
    assert format_of(b"\x89PNG\r\n\x1a\n") == "png"
    assert format_of(b"\xff\xd8\xff\xdb") == "jpeg"
    assert format_of(b"RIFF\x01\x02\x03\x04WEBPVP8 ") == "webp"


def test_the_files_of_a_picture_are_itself_and_its_renditions() -> None:
    file = file_name(REQUEST, 1)
    assert stored_names(file) == (file, *(rendition_name(file, each) for each in Rendition))
    assert len(set(stored_names(file))) == 5
    assert all(is_stored_name(name) for name in stored_names(file))


@pytest.mark.parametrize(
    "head", [b"", b"GIF89a", b"<svg", b"RIFF\x01\x02\x03\x04WAVE", b"\x89PNG\n", b"BM", b"\xff\xd8"]
)
def test_other_formats_are_rejected(head: bytes) -> None:
    with pytest.raises(BadImage, match="not a PNG, JPEG or WEBP"):
        format_of(head)


def test_each_side_has_a_limit() -> None:
    limits = ImageLimits(max_bytes=1, max_pixels=100, max_side=20)
    check_pixels(20, 5, limits)
    for width, height in ((21, 1), (1, 21)):
        with pytest.raises(BadImage, match="each side may have at most 20"):
            check_pixels(width, height, limits)


def test_a_picture_may_have_exactly_the_allowed_number_of_pixels() -> None:
    limits = ImageLimits(max_bytes=1, max_pixels=100)
    check_pixels(10, 10, limits)
    for width, height in ((101, 1), (0, 5), (5, 0)):
        with pytest.raises(BadImage):
            check_pixels(width, height, limits)


WEBP_FORMS = {
    "VP8 ": {"mode": "RGB", "lossless": False},
    "VP8L": {"mode": "RGB", "lossless": True},
    "VP8X": {"mode": "RGB", "lossless": False, "exif": Image.Exif().tobytes()},
}


@pytest.mark.parametrize("form", WEBP_FORMS)
@pytest.mark.parametrize("size", [(1, 1), (48, 32), (1, 300), (300, 1), (16_383, 2), (2, 16_383)])
def test_the_size_of_a_webp_is_read_from_its_head(form: str, size: tuple[int, int]) -> None:
    options = dict(WEBP_FORMS[form])
    written = io.BytesIO()
    Image.new(str(options.pop("mode")), size).save(written, "WEBP", **options)
    head = written.getvalue()[:HEAD_BYTES]
    assert head[12:16].decode() == form
    assert webp_size(head) == size
    for length in (0, 12, 29):
        with pytest.raises(BadImage, match="truncated"):
            webp_size(head[:length])
