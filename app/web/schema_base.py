"""The bases of all models of the HTTP API, which is in camelCase."""

from collections.abc import Callable
from typing import Annotated, Any

from pydantic import BaseModel, ConfigDict, PlainValidator, WithJsonSchema
from pydantic.alias_generators import to_camel


def checked(check: Callable[..., object], **schema: Any) -> Any:
    """A field that the domain validates; `schema` describes the same rules as JSON Schema."""
    return PlainValidator(check, json_schema_input_type=Annotated[Any, WithJsonSchema(schema)])


class RequestModel(BaseModel):
    """A request body; unknown fields are refused by name."""

    model_config = ConfigDict(alias_generator=to_camel, extra="forbid")


class Query(BaseModel):
    """The query of a URL; unknown fields are ignored."""

    model_config = ConfigDict(alias_generator=to_camel, extra="ignore")


class ResponseModel(BaseModel):
    """A response body; fields that are None are omitted."""

    model_config = ConfigDict(alias_generator=to_camel, validate_by_name=True)
