"""Parses the text of a frame into a message, or into an error that names the field."""

from typing import Annotated, Any

from pydantic import Field, TypeAdapter, ValidationError

from app.domain import json_text
from app.domain.errors import MalformedMessage
from app.domain.messages.incoming import Incoming
from app.domain.validation import first_error, sentence

DEPTH = 12

_ADAPTER: TypeAdapter[Incoming] = TypeAdapter(Annotated[Incoming, Field(discriminator="type")])


def parse(text: str) -> Incoming:
    """Parse a message from an extension. Raises MalformedMessage, which names the field and what is allowed."""
    try:
        return _ADAPTER.validate_python(_decode(text), by_alias=True, by_name=False)
    except ValidationError as error:
        raise MalformedMessage(f"Invalid message format: {sentence(first_error(error))}.") from None


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
