"""The forms of calls with pictures: fields as text, files under the names that OpenAI's clients use."""

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, BinaryIO, cast

from flask import request
from werkzeug.datastructures import FileStorage
from werkzeug.exceptions import RequestEntityTooLarge

from app.domain.errors import InvalidRequest, UnsupportedMediaType
from app.domain.input_images import MOST
from app.domain.input_references import Role
from app.web import bodies, form_files
from app.web.openai.schemas import ImagesRequest

IMAGES, MASK = ("image", "image[]"), "mask"
VARIATION_PROMPT = "A variation of the image"  # calls for variations have no prompt
PIECE_BYTES = 65_536
_NUMBERS = frozenset({"n", "partial_images", "output_compression", "seed"})
_SWITCHES = {"true": True, "false": False}
_FILE = form_files.BINARY_FILE


@dataclass(frozen=True, slots=True)
class FormPicture:
    """A file of the form. `field` is the name that an error gives it."""

    field: str
    role: Role
    stream: BinaryIO
    sha256: str


@dataclass(frozen=True, slots=True)
class PictureCall:
    """A call with pictures: what is asked for, and the files, the images first."""

    body: ImagesRequest
    pictures: Sequence[FormPicture]

    @property
    def sent(self) -> list[list[str]]:
        """What a repeat must repeat beside the body."""
        return [[each.role.value, each.sha256] for each in self.pictures]


def schema(*, edits: bool) -> dict[str, Any]:
    """The schema of the form."""
    text = {"type": "string"}
    fields: dict[str, Any] = {
        "image": _FILE,
        "n": {"type": "integer", "minimum": 1, "maximum": 10},
        **dict.fromkeys(("model", "size", "response_format", "user"), text),
    }
    if not edits:
        return {"type": "object", "properties": fields, "required": ["image"]}
    several = {"image[]": {"type": "array", "items": _FILE, "maxItems": MOST}, "mask": _FILE}
    fields |= {**several, **dict.fromkeys(("prompt", "quality", "output_format"), text), "stream": {"type": "boolean"}}
    fields["partial_images"] = {"type": "integer", "minimum": 0, "maximum": 3}
    return {"type": "object", "properties": fields, "required": ["prompt"]}


def read(most_bytes: int, *, edits: bool) -> PictureCall:
    """The form of the request. Each picture has at most `most_bytes`.

    Raises UnsupportedMediaType, PayloadTooLarge, InvalidRequest, InvalidPrompt.
    """
    bodies.check_not_compressed()
    if request.mimetype != form_files.FORM:
        raise UnsupportedMediaType(f"Send the pictures as files of a form ({form_files.FORM}).")
    form_files.check_size(most_bytes, MOST if edits else 1)
    pictures = _pictures(most_bytes, edits=edits)
    values = {name: _value(name, text) for name, text in _fields(most_bytes).items()}
    if not edits:
        values.setdefault("prompt", VARIATION_PROMPT)
    return PictureCall(bodies.fit(ImagesRequest, values, "The form"), pictures)


def _fields(most_bytes: int) -> Mapping[str, str]:
    try:
        return request.form.to_dict()
    except RequestEntityTooLarge:
        raise form_files.too_large(most_bytes) from None


def _pictures(most_bytes: int, *, edits: bool) -> list[FormPicture]:
    images = form_files.files_in(IMAGES, most_bytes)
    masks = form_files.files_in((MASK,), most_bytes) if edits else []
    most = MOST - len(masks) if edits else 1
    if not 1 <= len(images) <= most or len(masks) > 1:
        raise InvalidRequest(
            f"image must be 1 to {most} files, and mask one at most." if edits else "image must be one file.",
            field="image",
        )
    pairs = [("image", Role.IMAGE, file) for file in images] + [(MASK, Role.MASK, file) for file in masks]
    return [FormPicture(field, role, cast("BinaryIO", file.stream), _sha256(file)) for field, role, file in pairs]


def _sha256(file: FileStorage) -> str:
    digest = hashlib.sha256()
    while piece := file.stream.read(PIECE_BYTES):
        digest.update(piece)
    file.stream.seek(0)
    return digest.hexdigest()


def _value(name: str, text: str) -> object:
    """What the text of a field means: OpenAI's clients send numbers and switches as text."""
    if name in _NUMBERS and text.isascii() and text.isdigit() and len(text) < 20:
        return int(text)
    return _SWITCHES.get(text, text) if name == "stream" else text
