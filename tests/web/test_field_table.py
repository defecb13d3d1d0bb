"""A JSON Schema as rows of a table."""

from __future__ import annotations

from typing import Any

import pytest

from app.web.field_table import Field, fields

ID = {"type": "string", "format": "uuid"}


def only(schema: dict[str, Any]) -> Field:
    """The row of the only field of an object."""
    [field] = fields({"properties": {"x": schema}})
    return field


@pytest.mark.parametrize(
    ("schema", "type_"),
    [
        ({"type": "integer"}, "integer"),
        ({"type": ["string", "null"]}, "string"),
        (ID, "uuid"),
        ({"type": "array", "items": ID}, "list of uuid"),
        ({"enum": ["a", "b"]}, '"a" or "b"'),
        ({"const": "a"}, '"a"'),
        ({"anyOf": [{"type": "string"}, {"type": "integer"}]}, "string or integer"),
        ({}, ""),
    ],
)
def test_a_type_is_shown_by_its_name(schema: dict[str, Any], type_: str) -> None:
    assert only(schema).type == type_


@pytest.mark.parametrize(
    ("schema", "limits"),
    [
        ({"minimum": 16, "maximum": 8192}, ("16 to 8,192",)),
        ({"minimum": 1}, ("at least 1",)),
        ({"maxLength": 200}, ("at most 200 characters",)),
        ({"minItems": 1, "maxItems": 4, "default": []}, ("1 to 4 items", "default `[]`")),
        ({"default": None}, ()),
        ({"default": False}, ("default `false`",)),
    ],
)
def test_limits_are_shown_as_sentences(schema: dict[str, Any], limits: tuple[str, ...]) -> None:
    assert only(schema).limits == limits


def test_nested_fields_follow_their_parents() -> None:
    inner = {"type": "object", "properties": {"b": {"type": "integer"}}, "required": ["b"]}
    schema = {"properties": {"a": inner, "c": {"type": "array", "items": inner}}, "required": ["c"]}
    assert [(field.name, field.required) for field in fields(schema)] == [
        ("a", False),
        ("a.b", True),
        ("c", True),
        ("c[].b", True),
    ]
