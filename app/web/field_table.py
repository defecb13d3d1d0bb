"""The JSON Schema of a message (see `asyncapi.payload`) as rows of a table that people read."""

import json
from collections.abc import Iterator
from dataclasses import dataclass

from app.web.json_schema import Schema

# A bound's keywords, smallest first, and what they count.
BOUNDS = (
    ("minimum", "maximum", ""),
    ("minLength", "maxLength", " characters"),
    ("minItems", "maxItems", " items"),
)


@dataclass(frozen=True, slots=True)
class Field:
    """One field: its path (`status.available`, `images[].url`), its type in words, and what limits its values."""

    name: str
    type: str
    required: bool
    description: str
    limits: tuple[str, ...]


def fields(schema: Schema, prefix: str = "") -> Iterator[Field]:
    """The fields of an object, each followed by the fields inside it."""
    for name, field in schema.get("properties", {}).items():
        required = name in schema.get("required", ())
        yield Field(prefix + name, _type(field), required, field.get("description", ""), tuple(_limits(field)))
        yield from fields(field, f"{prefix}{name}.")
        yield from fields(field.get("items", {}), f"{prefix}{name}[].")


def _type(schema: Schema) -> str:
    if "const" in schema:
        return json.dumps(schema["const"])
    if "enum" in schema:
        return " or ".join(json.dumps(value) for value in schema["enum"])
    if "items" in schema:
        return f"list of {_type(schema['items'])}"
    if "anyOf" in schema:
        return " or ".join(_type(branch) for branch in schema["anyOf"])
    names = schema.get("type", "")
    return str(schema.get("format") or (names if isinstance(names, str) else names[0]))


def _limits(schema: Schema) -> Iterator[str]:
    for smallest, largest, unit in BOUNDS:
        if smallest in schema and largest in schema:
            yield f"{schema[smallest]:,} to {schema[largest]:,}{unit}"
        elif largest in schema:
            yield f"at most {schema[largest]:,}{unit}"
        elif smallest in schema:
            yield f"at least {schema[smallest]:,}{unit}"
    if schema.get("default") is not None:
        yield f"default `{json.dumps(schema['default'])}`"
