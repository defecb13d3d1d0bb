"""Parses the text of a frame into a message, or into an error that names the field."""

import json
import re
from typing import Annotated, Any, get_args

from pydantic import Field, TypeAdapter, ValidationError

from app.domain import json_text
from app.domain.errors import MalformedMessage
from app.domain.messages.fields import ID
from app.domain.messages.incoming import (
    ExtensionMetadata,
    HeartbeatStatus,
    ImageGenerated,
    ImageGenerationFailed,
    Incoming,
)
from app.domain.validation import first_error, sentence
from app.domain.wire_types import without_nulls

DEPTH = 12
FINAL = ImageGenerated.type_name(), ImageGenerationFailed.type_name()

_FIELDS = {
    field.alias
    for model in (*get_args(Incoming), ExtensionMetadata, HeartbeatStatus)
    for field in model.model_fields.values()
}
# in a text that is not JSON, such as one that breaks off
_NAMES = re.compile(r'"(type|requestId|lease|correlationId)"\s*:\s*"([^"\\]*)"')

_ADAPTER: TypeAdapter[Incoming] = TypeAdapter(Annotated[Incoming, Field(discriminator="type")])


class UnusableReport(MalformedMessage):
    """A malformed message that is meant to end the attempt at a request: `named` are the ids it names the request by."""

    def __init__(self, detail: str, request_id: str, named: dict[str, str]) -> None:
        super().__init__(detail)
        self.request_id = request_id
        self.named = named


def parse(text: str) -> Incoming:
    """Parse a message from an extension. Fields that are null count as absent.

    Raises MalformedMessage, which names the field and what is allowed, or UnusableReport.
    """
    try:
        return _ADAPTER.validate_python(without_nulls(_decode(text)), by_alias=True, by_name=False)
    except ValidationError as error:
        refusal = MalformedMessage(f"Invalid message format: {sentence(first_error(error))}.")
    except MalformedMessage as malformed:
        refusal = malformed
    raise refusal_of(text, refusal.detail)


def refusal_of(text: str, detail: str) -> MalformedMessage:
    """The refusal of a message: an UnusableReport if it names a request and was meant to end its attempt."""
    fields = _fields_of(text)
    ids = {name: fields[name] for name in ("requestId", "lease", "correlationId") if _is_id(fields.get(name))}
    request_id = ids.pop("requestId", None)
    if fields.get("type") not in FINAL or request_id is None:
        return MalformedMessage(detail)
    return UnusableReport(detail, request_id, ids)


def _fields_of(text: str) -> dict[str, Any]:
    """The fields of a message, read as leniently as possible: they only have to name the request."""
    try:
        body = json.loads(text.removeprefix(json_text.BYTE_ORDER_MARK))
    except (ValueError, RecursionError):
        return dict(reversed(_NAMES.findall(text)))  # the first of each
    return body if isinstance(body, dict) else {}


def _is_id(value: object) -> bool:
    return isinstance(value, str) and ID.fullmatch(value) is not None


def _decode(text: str) -> dict[str, Any]:
    try:
        body = json_text.decode(text)
    except json_text.RepeatedName as repeated:
        # any other name is the sender's own words, which no log may contain
        which = f"the field {repeated.name}" if repeated.name in _FIELDS else "a field"
        raise MalformedMessage(f"Invalid message format: {which} is duplicated.") from None
    except (ValueError, RecursionError):
        raise MalformedMessage("Invalid message format: the message is not valid JSON.") from None
    if not isinstance(body, dict):
        raise MalformedMessage("Invalid message format: the message must be a JSON object.")
    may_be_deep = text.count("{") + text.count("[") > DEPTH  # most messages need no walk through their values
    if may_be_deep and _depth_exceeds(body, DEPTH):
        raise MalformedMessage(f"Invalid message format: nested deeper than {DEPTH} levels.")
    return body


def _depth_exceeds(value: object, left: int) -> bool:
    if left < 0:
        return True
    items = value.values() if isinstance(value, dict) else value if isinstance(value, list) else ()
    return any(_depth_exceeds(item, left - 1) for item in items)
