"""JSON Schemas as rows of a table that people read."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

Schema = dict[str, Any]
Resolve = Callable[[Schema], Schema]

FORMATS = {"uuid": "UUID", "date-time": "time", "uri": "URL", "binary": "bytes"}

# Answers of their own, which are not laid out once more inside of others.
APART = {"#/components/schemas/RequestResult"}


@dataclass(frozen=True, slots=True)
class Row:
    """One field: its name from the top (`metadata.model`, `images[].width`), its type, and what else holds for it."""

    name: str
    type: str
    required: bool
    bounds: tuple[str, ...]
    default: str | None
    description: str


def resolver(document: Schema) -> Resolve:
    """Follows references into `document`; what stands beside a reference is kept."""

    def resolve(schema: Schema) -> Schema:
        while "$ref" in schema:
            place: Any = document
            for name in schema["$ref"].removeprefix("#/").split("/"):
                place = place[name]
            schema = {**place, **{key: value for key, value in schema.items() if key != "$ref"}}
        return schema

    return resolve


def rows(schema: Schema, resolve: Resolve, above: str = "") -> Iterator[Row]:
    """The fields of an object, those inside of others behind the one that holds them."""
    schema = resolve(schema)
    required = schema.get("required", ())
    for name, field in schema.get("properties", {}).items():
        whole = resolve(field if _says_type(field) else _from_branches(schema, name, field))
        yield row(above + name, whole, resolve, required=name in required)
        yield from rows(whole, resolve, f"{above}{name}.")
        if "items" in whole and whole["items"].get("$ref") not in APART:
            yield from rows(whole["items"], resolve, f"{above}{name}[].")


def row(name: str, schema: Schema, resolve: Resolve, *, required: bool) -> Row:
    """One field or parameter."""
    schema = resolve(schema)
    default = schema.get("default")
    shown = None if default is None or default == "" else json.dumps(default).strip('"')
    text = schema.get("description", "")
    return Row(name, kind(schema, resolve), required, tuple(bounds(schema, resolve)), shown, text)


def kind(schema: Schema, resolve: Resolve) -> str:
    """The type in a few words."""
    schema = resolve(schema)
    if "const" in schema:
        return json.dumps(schema["const"])
    if "enum" in schema:
        return " | ".join(json.dumps(value) for value in schema["enum"])
    if "anyOf" in schema and "type" not in schema:
        return " or ".join(dict.fromkeys(kind(each, resolve) for each in schema["anyOf"]))
    if schema.get("type") == "array":
        return f"list of {kind(schema['items'], resolve)}"
    if "format" in schema:
        return FORMATS[schema["format"]]
    types = schema.get("type", "any")
    return types if isinstance(types, str) else " or ".join(types)


def bounds(schema: Schema, resolve: Resolve) -> Iterator[str]:
    """Smallest, largest, shortest, longest, and the pattern where it can be read."""
    yield from filter(
        None,
        (
            _between(schema.get("minimum"), schema.get("maximum"), ""),
            _between(schema.get("minLength"), schema.get("maxLength"), " characters"),
            _between(schema.get("minItems"), schema.get("maxItems"), " items"),
            _between(schema.get("minProperties"), schema.get("maxProperties"), " fields"),
        ),
    )
    pattern = schema.get("pattern", "")
    if pattern and "\\x" not in pattern:
        yield f"`{pattern}`"
    if "items" in schema:
        yield from (f"each: {bound}" for bound in bounds(resolve(schema["items"]), resolve))


def _between(least: float | None, most: float | None, what: str) -> str | None:
    if least is None and most is None:
        return None
    if most is None:
        return f"at least {least:,}{what}"
    return f"at most {most:,}{what}" if not least and what else f"{least:,} to {most:,}{what}"


def _says_type(field: Schema) -> bool:
    return not field.keys().isdisjoint({"type", "$ref", "const", "enum", "anyOf"})


def _from_branches(schema: Schema, name: str, field: Schema) -> Schema:
    """A field whose type only the branches of an `anyOf` say."""
    for branch in schema.get("anyOf", ()):
        said = branch["properties"].get(name, {"type": "null"})
        if said != {"type": "null"}:
            return {**said, **field}
    return field
