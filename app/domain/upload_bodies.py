"""What extensions upload in place of a picture, by its first bytes, so that they are told at once what is wrong."""

from app.domain.errors import InvalidRequest
from app.domain.images import BadImage, format_of

_JSON = "The body is JSON"
_BASE64 = "The body is base64 text"
_MISTAKES = {
    b"--": "The body is a multipart form",
    b"data:": "The body is a data: URL",
    b"ivborw0kggo": _BASE64,
    b"/9j/": _BASE64,
    b"uklgr": _BASE64,
    b"{": _JSON,
    b"[": _JSON,
    b'"': _JSON,
    b"<": "The body is HTML or XML",
    b"http": "The body is a URL",
}


def check(head: bytes) -> None:
    """Raises InvalidRequest unless `head`, the first bytes of the body (HEAD_BYTES are enough), begin a picture of an accepted format."""
    try:
        format_of(head)
    except BadImage as error:
        start = head.removeprefix(b"\xef\xbb\xbf").lstrip().lower()
        mistake = next((text for begin, text in _MISTAKES.items() if start.startswith(begin)), None)
        reason = f"{mistake}, not a picture." if mistake else str(error)
        raise InvalidRequest(
            f"{reason} Send the bytes of the PNG, JPEG or WEBP file alone, without any wrapping."
        ) from error
