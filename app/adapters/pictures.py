"""Judging bytes that claim to be a picture, and making the clean PNG of it that is kept."""

from __future__ import annotations

import contextlib
import hashlib
import struct
import zlib
from collections.abc import Iterator
from typing import BinaryIO

from PIL import ExifTags, Image, ImageOps

from app.domain import jpeg, png, webp
from app.domain.images import HEAD_BYTES, BadImage, ImageFormat, ImageLimits, Picture, check_pixels, format_of

# Measured at 1024 x 1024: a third of the time of level 6 for 4 to 8 % more bytes.
COMPRESS_LEVEL = 4
PNG_MODES = ("1", "L", "LA", "P", "RGB", "RGBA", "I;16")
BROKEN = (OSError, SyntaxError, ValueError, EOFError, struct.error, zlib.error, OverflowError)


def memory_needed(limits: ImageLimits) -> int:
    """Bytes that judging the largest picture may take: a WEBP's decoder keeps four copies of 4 bytes a pixel."""
    return 16 * limits.max_pixels + 128 * 2**20


def check_and_store_as_png(source: BinaryIO, target: BinaryIO, limits: ImageLimits) -> Picture:
    """Write the picture in `source` into the empty, readable `target` as a PNG without anything but the picture.

    A PNG that `png` proves to be whole keeps its pixels as they are packed, and Pillow makes no raster of it. The rest
    is decoded, turned upright and packed anew.
    Raises BadImage where the bytes are not a whole, still picture within `limits`; an OSError is the disk's.
    """
    try:
        width, height = _store(source, target, limits)
    except MemoryError as error:
        raise BadImage("The picture takes more memory to decode than a picture may.") from error
    target.flush()
    return Picture(width, height, target.seek(0, 2), _sha256(target))


def _store(source: BinaryIO, target: BinaryIO, limits: ImageLimits) -> tuple[int, int]:
    image_format, width, height = _measure(source, limits)
    if image_format != "png":
        return _repack(source, target, image_format, limits)
    if png.copy_critical_chunks(source, target) and not _is_upright(png.read_exif(source)):
        target.seek(0)
        target.truncate()
        return _repack(source, target, image_format, limits)
    _check_copy(target, width, height)
    return width, height


def _measure(source: BinaryIO, limits: ImageLimits) -> tuple[ImageFormat, int, int]:
    """What the file claims to be, before anything makes room for it."""
    if source.seek(0, 2) > limits.max_bytes:
        raise BadImage(f"The picture has more than the {limits.max_bytes} bytes that are allowed.")
    source.seek(0)
    head = source.read(HEAD_BYTES)
    image_format = format_of(head)
    if image_format == "png":
        header = png.read_header(source)
        width, height = header.width, header.height
    elif image_format == "webp":
        width, height = webp.read_size(head)
    else:
        source.seek(0)
        jpeg.check_scans(source.read())
        with _opened(source, image_format) as image:
            width, height = image.size
    check_pixels(width, height, limits)
    return image_format, width, height


def _check_copy(target: BinaryIO, width: int, height: int) -> None:
    """A second reader, that of those who will look at the picture, must find in the copy what the first did."""
    with _opened(target, "png") as image, _judged("png"):
        if image.size != (width, height):
            raise BadImage("The PNG is damaged or cut off.")
        image.verify()


def _is_upright(exif: bytes) -> bool:
    found = Image.Exif()
    with _judged("png"):
        found.load(b"Exif\0\0" + exif)
        return bool(found.get(ExifTags.Base.Orientation, 1) == 1)


def _repack(source: BinaryIO, target: BinaryIO, image_format: ImageFormat, limits: ImageLimits) -> tuple[int, int]:
    with _opened(source, image_format) as image:
        check_pixels(*image.size, limits)
        with _judged(image_format):
            upright = _decoded(image)
        upright.save(target, format="PNG", compress_level=COMPRESS_LEVEL)
        return upright.size


def _decoded(image: Image.Image) -> Image.Image:
    image.load()
    image.getexif()  # Pillow remembers it from here on
    # Turning the picture writes the EXIF data anew where it finds them here, and trips over odd ones; the encoder writes
    # profiles and the like of its own accord.
    image.info = {key: value for key, value in image.info.items() if key == "transparency"}
    ImageOps.exif_transpose(image, in_place=True)
    return image if image.mode in PNG_MODES else image.convert("RGB")


@contextlib.contextmanager
def _opened(source: BinaryIO, image_format: ImageFormat) -> Iterator[Image.Image]:
    source.seek(0)
    with _judged(image_format):
        image = Image.open(source, formats=[image_format.upper()])
    with image:  # not close(): that would close `source`, which is not ours
        yield image


@contextlib.contextmanager
def _judged(image_format: ImageFormat) -> Iterator[None]:
    """Whatever a decoder says about broken bytes is one thing to us."""
    try:
        yield
    except (Image.DecompressionBombError, Image.DecompressionBombWarning) as error:
        raise BadImage(f"The {image_format.upper()} has more pixels than are allowed.") from error
    except BROKEN as error:
        raise BadImage(f"The {image_format.upper()} is damaged or cut off.") from error


def _sha256(file: BinaryIO) -> str:
    file.seek(0)
    digest = hashlib.sha256()
    while piece := file.read(1 << 20):
        digest.update(piece)
    return digest.hexdigest()
