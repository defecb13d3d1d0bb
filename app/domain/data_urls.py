"""Pictures that are embedded in a URL: `data:image/png;base64,…`."""

import base64
import binascii
from urllib.parse import unquote_to_bytes

from app.domain.images import PictureError

_URL_SAFE = bytes.maketrans(b"-_", b"+/")
_WHITESPACE = b" \t\r\n\f"


class BadDataUrl(PictureError):
    """The data: URL cannot be used; the text says why."""


def is_data_url(url: str) -> bool:
    """True if `decode` has to read the URL, even if it turns out to be invalid."""
    return url[:5].lower() == "data:"


def decode(url: str, max_bytes: int) -> bytes:
    """The 1 to `max_bytes` bytes that the URL contains. Raises BadDataUrl.

    Read as browsers do (https://fetch.spec.whatwg.org/#data-urls): base64 may be wrapped, percent-encoded or without its
    padding. The media type means nothing: the bytes decide whether it is a picture.
    """
    head, comma, body = url.partition(",")
    if not comma:
        raise BadDataUrl("The data: URL must begin with data:image/png;base64, (or image/jpeg, image/webp).")
    data = unquote_to_bytes(body)
    if head.rstrip().lower().endswith("base64"):
        data = _from_base64(data)
    if not data:
        raise BadDataUrl("The data: URL is empty.")
    if len(data) > max_bytes:
        raise BadDataUrl(f"The data: URL contains more than {max_bytes} bytes.")
    return data


def _from_base64(text: bytes) -> bytes:
    digits = text.translate(_URL_SAFE, _WHITESPACE).rstrip(b"=")
    try:
        return base64.b64decode(digits + b"=" * (-len(digits) % 4), validate=True)
    except binascii.Error:
        raise BadDataUrl("The data: URL's content is not valid base64.") from None
