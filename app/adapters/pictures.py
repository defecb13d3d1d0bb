"""Validates untrusted images and converts them to clean PNGs."""

import contextlib
import hashlib
import struct
import warnings
import zlib
from collections.abc import Iterator, Mapping
from typing import BinaryIO

from PIL import ExifTags, Image

from app.adapters import colours, renditions
from app.adapters.memory import limited_memory
from app.domain import images, png, png_colours
from app.domain.images import BadImage, ImageFormat, ImageLimits, Picture, Rendition

# Measured at 1024 x 1024: a third of the time of level 6, with 4 to 8 % more bytes.
COMPRESS_LEVEL = 4
PNG_MODES = ("1", "L", "LA", "RGB", "RGBA", "I;16")
BROKEN = (OSError, SyntaxError, ValueError, EOFError, struct.error, zlib.error, OverflowError)
# How to turn a picture upright, by its EXIF orientation.
UPRIGHT = {
    2: Image.Transpose.FLIP_LEFT_RIGHT,
    3: Image.Transpose.ROTATE_180,
    4: Image.Transpose.FLIP_TOP_BOTTOM,
    5: Image.Transpose.TRANSPOSE,
    6: Image.Transpose.ROTATE_270,
    7: Image.Transpose.TRANSVERSE,
    8: Image.Transpose.ROTATE_90,
}


class PillowValidator:
    """For processes that do one thing at a time: the memory limit applies to the whole process during a validation."""

    def __call__(
        self,
        source: BinaryIO,
        target: BinaryIO,
        limits: ImageLimits,
        thumbnails: Mapping[Rendition, BinaryIO] | None = None,
    ) -> Picture:
        """As `check_and_store_as_png`. An image that needs more memory than any allowed one raises BadImage."""
        with limited_memory(memory_needed(limits)):
            return check_and_store_as_png(source, target, limits, thumbnails)


def memory_needed(limits: ImageLimits) -> int:
    """The memory in bytes to validate the largest image: the WEBP decoder keeps four copies of 4 bytes a pixel."""
    return 16 * limits.max_pixels + 128 * 2**20


def check_and_store_as_png(
    source: BinaryIO,
    target: BinaryIO,
    limits: ImageLimits,
    thumbnails: Mapping[Rendition, BinaryIO] | None = None,
) -> Picture:
    """Write the image in `source` into the empty, readable `target` as a PNG in sRGB without metadata.

    A PNG that `png` proves to be complete and clean keeps its compressed pixels and is not decoded by Pillow. Other images
    are decoded, converted to sRGB, rotated according to their EXIF data and encoded again. Thumbnails of those are written
    into the empty files `thumbnails`, which stay empty otherwise: decoding alone would take longer than all the rest.
    Raises BadImage if the bytes are not a complete, still image within `limits`. An OSError comes from the disk.
    """
    try:
        with warnings.catch_warnings(action="ignore"):  # Pillow warns about each damaged tag of EXIF data
            width, height = _store(source, target, limits, thumbnails or {})
    except MemoryError as error:
        raise BadImage("Decoding the picture takes more memory than is allowed.") from error
    target.flush()
    return Picture(width, height, target.seek(0, 2), _sha256(target))


def _store(
    source: BinaryIO, target: BinaryIO, limits: ImageLimits, thumbnails: Mapping[Rendition, BinaryIO]
) -> tuple[int, int]:
    image_format, width, height = _measure(source, limits)
    if image_format != "png":
        with _opened(source, image_format) as image:
            images.check_pixels(*image.size, limits)
            shown = _encode_again(image, target, image.info.get("exif"), image.info.get("icc_profile"))
            return _with_thumbnails(shown, thumbnails)
    copied = png.copy_critical_chunks(source, target)
    exif, profile = copied.metadata.get(b"eXIf"), png_colours.profile_of(copied.metadata)
    if not copied.is_clean or _orientation(exif) in UPRIGHT or (profile is not None and not colours.is_srgb(profile)):
        with _opened(target, "png") as image:
            return _with_thumbnails(_encode_again(image, target, exif, profile), thumbnails)
    _check_copy(target, width, height)
    return width, height


def _measure(source: BinaryIO, limits: ImageLimits) -> tuple[ImageFormat, int, int]:
    """The format and size that the file claims, read before any memory is allocated for it."""
    if source.seek(0, 2) > limits.max_bytes:
        raise BadImage(f"The picture has more than the {limits.max_bytes} bytes that are allowed.")
    source.seek(0)
    head = source.read(images.HEAD_BYTES)
    image_format = images.format_of(head)
    if image_format == "png":
        header = png.read_header(source)
        width, height = header.width, header.height
    elif image_format == "webp":
        width, height = images.webp_size(head)
    else:
        source.seek(0)
        images.check_jpeg_scans(source.read())
        with _opened(source, image_format) as image:
            width, height = image.size
    images.check_pixels(width, height, limits)
    return image_format, width, height


def _check_copy(target: BinaryIO, width: int, height: int) -> None:
    """A second, independent reader must find the same image in the copy."""
    with _opened(target, "png") as image, _translate_errors("png"):
        if image.size != (width, height):
            raise BadImage("The PNG is damaged or cut off.")
        image.verify()


def _orientation(exif: bytes | None) -> object:
    """The orientation that EXIF data state; 1, upright, if there are none or they are damaged: the picture is good."""
    found = Image.Exif()
    try:
        found.load(exif or b"")
        return found.get(ExifTags.Base.Orientation, 1)
    except (*BROKEN, LookupError, TypeError, AttributeError):
        return 1


def _encode_again(image: Image.Image, target: BinaryIO, exif: bytes | None, profile: bytes | None) -> Image.Image:
    """Replace the content of `target`, from which `image` may be read, by the picture; returns it as it is shown."""
    with _translate_errors(str(image.format)):
        image.load()
        shown = _as_shown(image, exif, profile)
    target.seek(0)
    target.truncate()
    shown.save(target, format="PNG", compress_level=COMPRESS_LEVEL)
    return shown


def _with_thumbnails(shown: Image.Image, thumbnails: Mapping[Rendition, BinaryIO]) -> tuple[int, int]:
    """Write the thumbnails of the picture, which is used up; returns its size."""
    size = shown.size
    if thumbnails:
        renditions.write_thumbnails(shown, thumbnails)
    return size


def _as_shown(image: Image.Image, exif: bytes | None, profile: bytes | None) -> Image.Image:
    """In sRGB, upright, and without palette and metadata, which the encoder would write."""
    if image.mode == "I;16":
        image.info = {}  # Pillow knows no transparent colour of 16 bits
    if "transparency" in image.info:
        image = image.convert("RGBA")
    elif image.mode == "P":
        image = image.convert("RGB")
    if profile:
        image = colours.to_srgb(image, profile)
    if image.mode not in PNG_MODES:
        image = image.convert("RGB")
    orientation = _orientation(exif)
    if orientation in UPRIGHT:
        image = image.transpose(UPRIGHT[orientation])
    image.info = {}
    return image


@contextlib.contextmanager
def _opened(source: BinaryIO, image_format: ImageFormat) -> Iterator[Image.Image]:
    source.seek(0)
    with _translate_errors(image_format):
        image = Image.open(source, formats=[image_format.upper()])
    with image:  # not close(), which would close `source` of the caller
        yield image


@contextlib.contextmanager
def _translate_errors(image_format: str) -> Iterator[None]:
    """Turn every error of a decoder into BadImage."""
    try:
        yield
    except (Image.DecompressionBombError, Image.DecompressionBombWarning) as error:
        raise BadImage(f"The {image_format.upper()} has more pixels than are allowed.") from error
    except BROKEN as error:
        raise BadImage(f"The {image_format.upper()} is damaged or cut off.") from error


def _sha256(file: BinaryIO) -> str:
    file.seek(0)
    return hashlib.file_digest(file, "sha256").hexdigest()  # type: ignore[arg-type]  # BinaryIO lacks readinto
