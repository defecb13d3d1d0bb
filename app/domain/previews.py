"""Previews: small pictures of an image that is being made. They are shown and forgotten, never stored with the request."""

import base64
import binascii
from dataclasses import dataclass

from app.domain.images import BadImage, ImageLimits

MAX_BYTES = 96 * 1024
MAX_SIDE = 1_024
LIMITS = ImageLimits(MAX_BYTES, MAX_SIDE * MAX_SIDE, MAX_SIDE)
BASE64_CHARS = -(-MAX_BYTES // 3) * 4
MESSAGE_CHARS = BASE64_CHARS + 4_096  # of the longest message with a preview; servers that take less ask for none
MOST = 10  # of each picture that extensions are asked for
EVERY_S = 1.0  # one of each picture is shown in this time, others are ignored
KEPT_S = 60  # for those who begin to watch later


@dataclass(frozen=True, slots=True)
class Preview:
    """A checked preview of the picture at `position`; `data` is its file in base64, and `at` (ms) tells it from others."""

    request_id: str
    position: int
    progress: int
    mime_type: str
    data: str
    at: int


def decoded(data: str) -> bytes:
    """The file in `data`. Raises BadImage if it is not in base64, or too large."""
    if len(data) > BASE64_CHARS:
        raise BadImage(f"It has more than the {MAX_BYTES:,} bytes that are allowed.")
    try:
        return base64.b64decode(data, validate=True)
    except (binascii.Error, ValueError):
        raise BadImage("It is not in base64.") from None
