"""Field types and the base model of JSON on the wire: camelCase there, snake_case in Python."""

from typing import Annotated

from pydantic import BaseModel, ConfigDict, Field
from pydantic.alias_generators import to_camel

Time = Annotated[str, Field(json_schema_extra={"format": "date-time"})]
Uuid = Annotated[str, Field(json_schema_extra={"format": "uuid"})]


class WireModel(BaseModel):
    """An immutable JSON object. Constructors take the Python names of its fields; unknown fields are ignored."""

    model_config = ConfigDict(alias_generator=to_camel, validate_by_name=True, serialize_by_alias=True, frozen=True)
