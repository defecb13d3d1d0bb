"""Pictures that are uploaded: a body that is the file itself, or a form with files."""

from collections.abc import Sequence
from typing import Any, BinaryIO, cast

from flask import request
from werkzeug.datastructures import FileStorage
from werkzeug.exceptions import RequestEntityTooLarge

from app.domain.errors import InvalidRequest, PayloadTooLarge, UnsupportedMediaType

FORM = "multipart/form-data"
BINARY = "application/octet-stream"
PICTURES = ("image/png", "image/jpeg", "image/webp")
FORM_BYTES = 65_536  # of the other fields of a form, and of what is between them
FORM_PARTS = 100
BINARY_FILE: dict[str, Any] = {"type": "string", "format": "binary"}


def check_size(most: int, files: int = 1) -> None:
    """Bound the body: `files` pictures of `most` bytes each. Raises PayloadTooLarge."""
    longest = files * most + (FORM_BYTES if request.mimetype == FORM else 0)
    request.max_content_length = longest + 1  # one more, so that what receives the file can tell what is wrong
    request.max_form_memory_size = FORM_BYTES
    request.max_form_parts = FORM_PARTS
    if request.content_length is not None and request.content_length > longest:
        raise too_large(most)


def too_large(most: int) -> PayloadTooLarge:
    """The refusal of a picture that has more bytes than are allowed."""
    return PayloadTooLarge(f"The image has more than the {most} bytes that are allowed (MAX_IMAGE_SIZE).")


def picture_of_body(most: int, field: str) -> tuple[BinaryIO, int | None]:
    """The picture that is the body, or the one in this field of the form; and its length, if that is known.

    Raises UnsupportedMediaType, PayloadTooLarge, InvalidRequest.
    """
    check_size(most)
    if request.mimetype == FORM:
        return cast("BinaryIO", one_file(field, most).stream), None
    if request.mimetype not in (BINARY, *PICTURES):
        kinds = ", ".join((BINARY, *PICTURES, FORM))
        raise UnsupportedMediaType(
            f"Send the file itself, or a form with it, with one of these as Content-Type: {kinds}."
        )
    return cast("BinaryIO", request.stream), request.content_length


def one_file(field: str, most: int) -> FileStorage:
    """The only file in this field of the form. Raises InvalidRequest, PayloadTooLarge."""
    found = files_in((field,), most)
    if len(found) != 1:
        wrong = "more than one file" if found else "no file"
        raise InvalidRequest(f"The form has {wrong} in the field {field}: it must have one picture there.", field=field)
    return found[0]


def files_in(fields: Sequence[str], most: int) -> list[FileStorage]:
    """The files in these fields of the form, in order. Raises PayloadTooLarge."""
    try:
        return [file for name in fields for file in request.files.getlist(name)]
    except RequestEntityTooLarge:
        raise too_large(most) from None
