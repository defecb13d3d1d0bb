"""JSON Schemas as pydantic writes them, made shorter for the documents that people read."""

from typing import Any

Schema = dict[str, Any]
NULL = {"type": "null"}


def inlined(schema: Schema) -> Schema:
    """The schema with the models in its `$defs` put where they are referred to."""
    definitions = schema.get("$defs", {})

    def resolve(part: Any) -> Any:
        if isinstance(part, list):
            return [resolve(each) for each in part]
        if not isinstance(part, dict):
            return part
        model = definitions[part["$ref"].removeprefix("#/$defs/")] if "$ref" in part else {}
        return {key: resolve(value) for key, value in {**model, **part}.items() if key != "$ref"}

    return {key: resolve(value) for key, value in schema.items() if key != "$defs"}


def tidied(schema: Any, *, nullable: bool = False) -> Any:
    """Without titles that repeat a field's name and without defaults that are null.

    `X or null` becomes X, for what the server sends leaves out fields that are None; with `nullable` it becomes one type list.
    """
    if isinstance(schema, list):
        return [tidied(each, nullable=nullable) for each in schema]
    if not isinstance(schema, dict):
        return schema
    kept = {key: tidied(value, nullable=nullable) for key, value in schema.items() if not _is_noise(key, value)}
    kinds = [kind for kind in kept.get("anyOf", ()) if kind != NULL]
    if len(kinds) != 1:
        return kept
    [kind] = kinds
    null = {"type": [kind["type"], "null"]} if nullable else {}
    return {**{key: value for key, value in kept.items() if key != "anyOf"}, **kind, **null}


def _is_noise(key: str, value: object) -> bool:
    return (key == "title" and isinstance(value, str)) or (key == "default" and value is None)
