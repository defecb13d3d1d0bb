"""Field types and the base model of JSON on the wire: camelCase there, snake_case in Python."""

from typing import Annotated, Any

from pydantic import BaseModel, ConfigDict, Field, model_validator
from pydantic.alias_generators import to_camel

Time = Annotated[str, Field(json_schema_extra={"format": "date-time"})]
Uuid = Annotated[str, Field(json_schema_extra={"format": "uuid"})]


class WireModel(BaseModel):
    """An immutable JSON object. Constructors take the Python names of its fields; unknown fields are ignored."""

    model_config = ConfigDict(alias_generator=to_camel, validate_by_name=True, serialize_by_alias=True, frozen=True)


def without_nulls(value: Any) -> Any:
    """An object without the fields that are null, which means the same as leaving them out; other values unchanged."""
    return {name: item for name, item in value.items() if item is not None} if isinstance(value, dict) else value


class ReceivedModel(WireModel):
    """A JSON object that others send, part of a message."""

    @model_validator(mode="before")
    @classmethod
    def _drop_nulls(cls, value: Any) -> Any:
        return without_nulls(value)
