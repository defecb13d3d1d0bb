"""A JSON Schema as rows of a table that people read."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

Schema = dict[str, Any]

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


def fields(schema: Schema, document: Schema, prefix: str = "") -> Iterator[Field]:
    """The fields of an object of `document`, each followed by the fields inside it."""
    schema = _resolved(schema, document)
    for name, declared in schema.get("properties", {}).items():
        field = _resolved(declared, document)
        yield Field(
            prefix + name,
            _type(field, document),
            name in schema.get("required", ()),
            field.get("description", ""),
            tuple(_limits(field)),
        )
        yield from fields(field, document, f"{prefix}{name}.")
        yield from fields(field.get("items", {}), document, f"{prefix}{name}[].")


def _resolved(schema: Schema, document: Schema) -> Schema:
    """The schema that a reference leads to, and the one branch of an `anyOf` that is not null; what stands beside is kept."""
    beside = {key: value for key, value in schema.items() if key not in {"$ref", "anyOf"}}
    if "$ref" in schema:
        found: Any = document
        for name in schema["$ref"].removeprefix("#/").split("/"):
            found = found[name]
        return {**_resolved(found, document), **beside}
    branches = [branch for branch in schema.get("anyOf", ()) if branch != {"type": "null"}]
    return {**_resolved(branches[0], document), **beside} if len(branches) == 1 else schema


def _type(schema: Schema, document: Schema) -> str:
    schema = _resolved(schema, document)
    if "const" in schema:
        return json.dumps(schema["const"])
    if "enum" in schema:
        return " or ".join(json.dumps(value) for value in schema["enum"])
    if "items" in schema:
        return f"list of {_type(schema['items'], document)}"
    if "anyOf" in schema:
        return " or ".join(_type(branch, document) for branch in schema["anyOf"])
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
