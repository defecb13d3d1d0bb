"""The base class of socket messages, and the field types and limits that they share."""

import re
from collections.abc import Mapping
from typing import Annotated, Any

from pydantic import AfterValidator, BeforeValidator, Field, WithJsonSchema
from pydantic_core import PydanticCustomError

from app.domain import json_text
from app.domain.data_urls import is_data_url
from app.domain.image_request import FORBIDDEN
from app.domain.wire_types import WireModel

ID = re.compile(r"[A-Za-z0-9._:@-]{1,128}")
CAPABILITIES = 64
CAPABILITY_CHARS = 128
MAX_CONCURRENT = 64
ACTIVE_REQUESTS = 256
IMAGES = 10
URL_CHARS = 8_192
TOKEN_CHARS = 8_192
TEXT_CHARS = 2_000
NOTE_CHARS = 200
LABEL_CHARS = 64
METADATA_CHARS = 32_768  # with room for a prompt; every list of requests reads it
MAX_COUNT = 1_000_000
MAX_RETRY_AFTER_MS = 86_400_000

_CONTROLS = r"\x00-\x08\x0b\x0c\x0e-\x1f\x7f-\x9f"


class Message(WireModel):
    """A message on the socket; `type` identifies its class."""

    type: str

    @classmethod
    def type_name(cls) -> str:
        """The value of `type` that identifies this class on the wire."""
        return str(cls.model_fields["type"].default)

    def to_json(self) -> str:
        """The message as JSON text; fields that are None are left out."""
        return self.model_dump_json(exclude_none=True)

    def to_dict(self) -> dict[str, Any]:
        """The message as JSON data with names as on the wire; fields that are None are left out."""
        return self.model_dump(mode="json", exclude_none=True)


def _whole(value: object) -> object:
    return int(value) if isinstance(value, float) and value.is_integer() else value


def _printable(value: object) -> object:
    return FORBIDDEN.sub(" ", value) if isinstance(value, str) else value


def _kept(metadata: dict[str, Any]) -> dict[str, Any]:
    return metadata if len(json_text.encode(metadata)) <= METADATA_CHARS else {}


def truncated(chars: int) -> AfterValidator:
    """Keep the first `chars` characters: a report is not rejected because its text is long."""
    return AfterValidator(lambda text: text.strip()[:chars])


WHOLE = BeforeValidator(_whole)  # 5.0 is a whole number in JSON
PRINTABLE = BeforeValidator(_printable)  # control characters and lone surrogates become spaces

WireId = Annotated[str, Field(pattern=f"^{ID.pattern}$")]
WireIds = Annotated[tuple[WireId, ...], Field(max_length=ACTIVE_REQUESTS)]
Capability = Annotated[str, Field(min_length=1, max_length=CAPABILITY_CHARS, pattern=f"^[^{_CONTROLS}]*$")]
Label = Annotated[str, Field(max_length=LABEL_CHARS), PRINTABLE]
Text = Annotated[str, PRINTABLE, truncated(TEXT_CHARS)]
Note = Annotated[str, PRINTABLE, truncated(NOTE_CHARS)]
Metadata = Annotated[dict[str, Any], AfterValidator(_kept)]  # a report is not rejected because it is large
Count = Annotated[int, Field(strict=True, ge=0, le=MAX_COUNT), WHOLE]


def _image_url(url: str) -> str:
    """As browsers read it: https://url.spec.whatwg.org/#concept-basic-url-parser"""
    text = url.strip(_EDGES)
    if is_data_url(text) and text.isascii():
        return text
    if len(url) > URL_CHARS or not _HTTP_URL.fullmatch(text):
        wanted = f"must be http://, https:// (at most {URL_CHARS} characters) or data:image/…;base64"
        raise PydanticCustomError("image_url", wanted)
    return text.translate(_DROPPED).replace(" ", "%20")


_EDGES = "".join(map(chr, range(33)))  # control characters and the space
_EDGE = r"[\x00-\x20]*"
_DROPPED = str.maketrans("", "", "\t\n\r")
_HTTP_URL = re.compile(r"[Hh][Tt][Tt][Pp][Ss]?://[^\x00-\x08\x0b\x0c\x0e-\x1f\x7f]*")
_IMAGE_URL_SCHEMA: Mapping[str, Any] = {
    "anyOf": [
        {
            "type": "string",
            "pattern": f"^{_EDGE}{_HTTP_URL.pattern}{_EDGE}$",
            "maxLength": URL_CHARS,
            "description": "An http(s) URL, or the `imageUrl` that an upload returned.",
        },
        {
            "type": "string",
            "pattern": rf"^{_EDGE}[Dd][Aa][Tt][Aa]:[\x00-\x7f]*$",
            "description": "The picture itself, in base64.",
        },
    ]
}
ImageUrl = Annotated[str, AfterValidator(_image_url), WithJsonSchema(dict(_IMAGE_URL_SCHEMA))]
