"""What all that travels over HTTP has in common: camelCase lives here."""

from __future__ import annotations

from collections.abc import Callable
from typing import Annotated, Any

from pydantic import BaseModel, ConfigDict, PlainValidator, WithJsonSchema
from pydantic.alias_generators import to_camel


def checked(check: Callable[..., object], **schema: Any) -> Any:
    """A field that the domain checks; `schema` says the same in the words of JSON Schema."""
    return PlainValidator(check, json_schema_input_type=Annotated[Any, WithJsonSchema(schema)])


class RequestModel(BaseModel):
    """Something a client sends; what is not known is refused by name."""

    model_config = ConfigDict(alias_generator=to_camel, extra="forbid")


class Query(BaseModel):
    """The query of a URL; what is not known is passed over."""

    model_config = ConfigDict(alias_generator=to_camel, extra="ignore")


class ResponseModel(BaseModel):
    """Something the server answers; fields that are None are left out."""

    model_config = ConfigDict(alias_generator=to_camel, validate_by_name=True)
