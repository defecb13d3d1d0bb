"""Pictures that are embedded in a URL: `data:image/png;base64,…`."""

import base64
import binascii
import re

from app.domain.images import PictureError

_HEAD = re.compile(r"data:image/(?:png|jpeg|webp);base64,")


class BadDataUrl(PictureError):
    """The data: URL cannot be used; the text says why."""


def is_data_url(url: str) -> bool:
    """True if `decode` has to read the URL, even if it turns out to be invalid."""
    return url[:5].lower() == "data:"


def decode(url: str, max_bytes: int) -> bytes:
    """The bytes that the URL contains. Raises BadDataUrl if it is not strict base64 of 1 to `max_bytes` bytes."""
    head = _HEAD.match(url)
    if head is None:
        raise BadDataUrl("The data: URL must begin with data:image/png;base64, (or image/jpeg, image/webp).")
    if len(url) - head.end() > 4 * (max_bytes // 3 + 1):
        raise BadDataUrl(f"The data: URL contains more than {max_bytes} bytes.")
    try:
        data = base64.b64decode(url[head.end() :], validate=True)
    except (binascii.Error, ValueError):
        raise BadDataUrl("The data: URL's content is not valid base64.") from None
    if not data:
        raise BadDataUrl("The data: URL is empty.")
    if len(url) - head.end() != 4 * -(-len(data) // 3):  # Python 3.11 ignores surplus padding
        raise BadDataUrl("The data: URL's content is not valid base64.")
    if len(data) > max_bytes:
        raise BadDataUrl(f"The data: URL contains more than {max_bytes} bytes.")
    return data
