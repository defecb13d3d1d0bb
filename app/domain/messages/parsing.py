"""Parses the text of a frame into a message, or into an error that names the field."""

import json
from typing import Annotated, Any

from pydantic import Field, TypeAdapter, ValidationError

from app.domain import json_text
from app.domain.errors import MalformedMessage
from app.domain.messages.fields import ID
from app.domain.messages.incoming import ImageGenerated, ImageGenerationFailed, Incoming
from app.domain.validation import first_error, sentence
from app.domain.wire_types import without_nulls

DEPTH = 12
FINAL = ImageGenerated.type_name(), ImageGenerationFailed.type_name()

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
    raise _unusable_report(text, refusal.detail) or refusal


def _unusable_report(text: str, detail: str) -> UnusableReport | None:
    """The refusal of a message that names a request and would end its attempt; None for any other message."""
    try:
        # more lenient than `json_text`: it only has to find the request
        body = json.loads(text.removeprefix(json_text.BYTE_ORDER_MARK))
    except (ValueError, RecursionError):
        return None
    if not isinstance(body, dict) or body.get("type") not in FINAL:
        return None
    ids = {name: body[name] for name in ("requestId", "lease", "correlationId") if _is_id(body.get(name))}
    request_id = ids.pop("requestId", None)
    return None if request_id is None else UnusableReport(detail, request_id, ids)


def _is_id(value: object) -> bool:
    return isinstance(value, str) and ID.fullmatch(value) is not None


def _decode(text: str) -> dict[str, Any]:
    try:
        body = json_text.decode(text)
    except json_text.RepeatedName as repeated:
        raise MalformedMessage(f"Invalid message format: the field {repeated.name} is duplicated.") from None
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
