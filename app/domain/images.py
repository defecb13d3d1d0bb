"""Which pictures are accepted, and what their files are called."""

import re
from dataclasses import dataclass
from enum import StrEnum
from typing import Literal

ImageFormat = Literal["png", "jpeg", "webp"]

HEAD_BYTES = 32
# A progressive JPEG may have any number of scans, and the decoder walks the whole picture for each: 60 bytes of file
# cost 30 ms at 40 million pixels. Encoders write about ten.
MAX_JPEG_SCANS = 64
MAX_JPEG_SEGMENTS = 2_000
_JPEG_MARKER = re.compile(rb"\xff+([^\x00\xff\xd0-\xd7])", re.DOTALL)
_JPEG_SCAN, _JPEG_END = 0xDA, 0xD9
_WEBP_ANIMATED = 0x02
_STEM = r"[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}_[0-9]{1,16}"
_FILE_NAME = re.compile(rf"{_STEM}\.png")


class Rendition(StrEnum):
    """Other files that are made from a stored picture. The value is the end of their names.

    SMALL and LARGE are thumbnails, with 256 and 1,024 px on the longer side at most.
    """

    SMALL = "256.webp"
    LARGE = "1024.webp"
    WEBP = "webp"
    JPEG = "jpeg"


# The thumbnails, and the most px of their longer side.
THUMBNAILS = {Rendition.SMALL: 256, Rendition.LARGE: 1_024}
# The most px that a side of a picture may have in these formats.
CONVERTED_SIDES = {Rendition.WEBP: 16_383, Rendition.JPEG: 65_500}
_RENDITION_NAME = re.compile(rf"({_STEM})\.({'|'.join(re.escape(each) for each in Rendition)})")


class Fault(StrEnum):
    """Who is to blame if a picture cannot be stored: the extension that delivered it, the image's host, or this service.

    NAMES are those that answer which address a host has: its own, or the resolver of this service.
    """

    EXTENSION = "extension"
    HOST = "host"
    SERVICE = "service"
    NAMES = "names"


class PictureError(Exception):
    """A picture could not be fetched or stored; the text is a sentence that can be shown to the client.

    `retryable` is whether a retry may help, `retry_after_ms` the pause before it that the image host requested, if any.
    `remedy` is what an operator can do, if that is known.
    """

    fault = Fault.EXTENSION
    retryable = False
    retry_after_ms: int | None = None
    remedy: str | None = None


class BadImage(PictureError):
    """The bytes are not a picture that is accepted."""


@dataclass(frozen=True, slots=True)
class Picture:
    """A stored picture: size in px and bytes, SHA-256 in hex."""

    width: int
    height: int
    bytes: int
    sha256: str


@dataclass(frozen=True, slots=True)
class ImageLimits:
    """The largest picture that is accepted: bytes of the file as it arrives, width times height, and each of the two."""

    max_bytes: int
    max_pixels: int
    max_side: int = 16_384


def file_name(request_id: str, stamp_ms: int) -> str:
    """The name of a picture's file. `stamp_ms` must be different for each picture of one request."""
    name = f"{request_id}_{stamp_ms}.png"
    if not is_file_name(name):
        raise ValueError(f"{name!r} is not a name that pictures have")
    return name


def is_file_name(text: str) -> bool:
    """True only for names that `file_name` makes."""
    return _FILE_NAME.fullmatch(text) is not None


def rendition_name(file: str, rendition: Rendition) -> str:
    """The name of the file with this rendition of the picture `file`."""
    return f"{file.removesuffix('.png')}.{rendition}"


def parse_rendition_name(text: str) -> tuple[str, Rendition] | None:
    """The picture and the rendition that a name made by `rendition_name` means; None for any other text."""
    found = _RENDITION_NAME.fullmatch(text)
    return None if found is None else (f"{found[1]}.png", Rendition(found[2]))


def thumbnail_names(file: str) -> tuple[str, ...]:
    """The names of the thumbnails of the picture `file`."""
    return tuple(rendition_name(file, each) for each in THUMBNAILS)


def stored_names(file: str) -> tuple[str, ...]:
    """The names of all files that may belong to the picture `file`: its own, and those of its renditions."""
    return (file, *(rendition_name(file, each) for each in Rendition))


def is_stored_name(text: str) -> bool:
    """True only for the names of pictures and of their renditions."""
    return is_file_name(text) or parse_rendition_name(text) is not None


def format_of(head: bytes) -> ImageFormat:
    """The format that a file's first bytes (HEAD_BYTES are enough) announce. Raises BadImage for any other."""
    if head.startswith(b"\x89PNG\r\n\x1a\n"):
        return "png"
    if head.startswith(b"\xff\xd8\xff"):
        return "jpeg"
    if head[:4] == b"RIFF" and head[8:12] == b"WEBP":
        return "webp"
    raise BadImage("The bytes are not a PNG, JPEG or WEBP picture.")


def check_pixels(width: int, height: int, limits: ImageLimits) -> None:
    """Raises BadImage if a picture of this size has no pixels, too many, or too many in one direction."""
    if width < 1 or height < 1:
        raise BadImage("The picture has no pixels.")
    if max(width, height) > limits.max_side:
        raise BadImage(f"The picture has {width} x {height} pixels; each side may have at most {limits.max_side}.")
    if width * height > limits.max_pixels:
        raise BadImage(f"The picture has {width} x {height} pixels; at most {limits.max_pixels} are allowed.")


def check_jpeg_scans(data: bytes) -> None:
    """Raises BadImage if a JPEG has more scans or segments than any real picture."""
    scans = 0
    at = 2
    for _ in range(MAX_JPEG_SEGMENTS):
        found = _JPEG_MARKER.search(data, at)
        if found is None or found[1][0] == _JPEG_END:
            return
        scans += found[1][0] == _JPEG_SCAN
        if scans > MAX_JPEG_SCANS:
            raise BadImage(f"The JPEG has more than {MAX_JPEG_SCANS} scans.")
        at = found.end() + int.from_bytes(data[found.end() : found.end() + 2], "big")
    raise BadImage(f"The JPEG has more than {MAX_JPEG_SEGMENTS} segments.")


def webp_size(head: bytes) -> tuple[int, int]:
    """Width and height in px from the first HEAD_BYTES bytes of a WEBP: decoders allocate them as soon as they open the file.

    Raises BadImage for animations and invalid headers.
    """
    if len(head) < 30:
        raise BadImage("The WEBP is truncated.")
    form, content = head[12:16], head[20:30]
    if form == b"VP8X":
        if content[0] & _WEBP_ANIMATED:
            raise BadImage("The WEBP is animated; only still pictures are accepted.")
        return _little_endian(content[4:7]) + 1, _little_endian(content[7:10]) + 1
    if form == b"VP8L" and content[0] == 0x2F:
        bits = _little_endian(content[1:5])
        return (bits & 0x3FFF) + 1, (bits >> 14 & 0x3FFF) + 1
    if form == b"VP8 " and content[3:6] == b"\x9d\x01\x2a":
        return _little_endian(content[6:8]) & 0x3FFF, _little_endian(content[8:10]) & 0x3FFF
    raise BadImage("The WEBP's header is invalid.")


def _little_endian(data: bytes) -> int:
    return int.from_bytes(data, "little")
