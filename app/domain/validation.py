"""Turns pydantic's validation errors into sentences that name the field and what is allowed."""

from pydantic import ValidationError
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
    "dict_type": "must be an object",
    "model_type": "must be an object",
    "model_attributes_type": "must be an object",
    "union_tag_invalid": "type must be one of {expected_tags}",
    "union_tag_not_found": "type is missing",
}


def first_error(error: ValidationError) -> ErrorDetails:
    """The first error, in the order of the model's fields."""
    return error.errors(include_url=False, include_input=False)[0]


def field_name(error: ErrorDetails) -> str:
    """The path of the field on the wire, such as `heartbeat.status.queueSize`; empty for the value as a whole."""
    return json_text.printable(".".join(str(part) for part in error["loc"]))


def sentence(error: ErrorDetails) -> str:
    """The field and what is allowed there, without a full stop. Custom validators supply their own message."""
    template = _SENTENCES.get(error["type"])
    message = error["msg"] if template is None else template.format(**error.get("ctx", {}))
    return f"{field_name(error)} {message}".lstrip()
