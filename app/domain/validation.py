"""Turns pydantic's validation errors into sentences that name the field and what is allowed."""

from collections.abc import Mapping
from typing import Any

from annotated_types import Ge, Le
from pydantic import BaseModel, ValidationError
from pydantic_core import ErrorDetails

from app.domain import json_text

# By pydantic's error type, see its page "Validation Errors". The names in braces come from the error's context.
_SENTENCES = {
    "missing": "is missing",
    "string_type": "must be a string",
    "string_unicode": "must be a string without lone surrogates",
    "string_too_short": "must be a string of {min_length} or more characters",
    "string_too_long": "must be a string of {max_length} or fewer characters",
    "string_pattern_mismatch": "must be a string of the form {pattern}",
    "tuple_type": "must be a list",
    "too_short": "must be a list of {min_length} or more items",
    "too_long": "must be a list of {max_length} or fewer items",
    "int_type": "must be a whole number",
    "int_parsing": "must be a whole number",
    "int_from_float": "must be a whole number",
    "float_type": "must be a number",
    "float_parsing": "must be a number",
    "finite_number": "must be a number",
    "greater_than_equal": "must be {ge} or more",
    "less_than_equal": "must be {le} or less",
    "bool_type": "must be true or false",
    "bool_parsing": "must be true or false",
    "enum": "must be one of {expected}",
    "literal_error": "must be {expected}",
    "dict_type": "must be an object",
    "model_type": "must be an object",
    "model_attributes_type": "must be an object",
    "union_tag_invalid": "type must be one of {expected_tags}",
    "union_tag_not_found": "type is missing",
}


_NUMBERS = frozenset(
    {
        *("greater_than_equal", "less_than_equal", "finite_number"),
        *("int_type", "int_parsing", "int_from_float", "float_type", "float_parsing"),
    }
)


def first_error(error: ValidationError) -> ErrorDetails:
    """The first error, in the order of the model's fields."""
    return error.errors(include_url=False, include_input=False)[0]


def field_name(error: ErrorDetails) -> str:
    """The path of the field on the wire, such as `heartbeat.status.queueSize`; empty for the value as a whole."""
    return json_text.printable(".".join(str(part) for part in error["loc"]))


def sentence(error: ErrorDetails, model: type[BaseModel] | None = None) -> str:
    """The field and what is allowed there, without a full stop. Custom validators supply their own message.

    Of a number that is a field of `model` itself, both bounds are named.
    """
    template = _SENTENCES.get(error["type"])
    bounds = None if model is None else _bounds(model, error["loc"])
    if template is None:
        message = error["msg"]
    elif bounds is not None and error["type"] in _NUMBERS:
        message = f"must be {'a whole number ' if error['type'].startswith('int_') else ''}{bounds}"
    else:
        message = template.format(**_readable(error.get("ctx", {})))
    return f"{field_name(error)} {message}".lstrip()


def _bounds(model: type[BaseModel], loc: tuple[int | str, ...]) -> str | None:
    """What numbers are allowed, if the field has a least and a greatest one."""
    fields = (field for name, field in model.model_fields.items() if loc == (field.alias or name,))
    found = [each for field in fields for each in field.metadata]
    least = next((each.ge for each in found if isinstance(each, Ge)), None)
    most = next((each.le for each in found if isinstance(each, Le)), None)
    return None if least is None or most is None else f"between {least:,} and {most:,}"


def _readable(context: Mapping[str, Any]) -> dict[str, Any]:
    """Bounds without the decimal point that pydantic gives those of fractional numbers."""
    return {
        name: int(value) if isinstance(value, float) and value.is_integer() else value
        for name, value in context.items()
    }
