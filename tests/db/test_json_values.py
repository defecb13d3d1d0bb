"""JSON columns return the values that were written, also those written by earlier versions."""

from __future__ import annotations

import json
import math

import pytest

from app.db.json_values import read, written

VALUES: list[object] = [
    None,
    True,
    0,
    2**100,
    -1.5,
    1e300,
    0.1 + 0.2,
    "",
    'quotes " and \\ and \n and \u2028',
    "ä \U0001f98a",
    "half a pair \ud800",
    [],
    {},
    {"a": [1, {"b": None}], "ä": "\U0001f98a"},
]


@pytest.mark.parametrize("value", VALUES, ids=range(len(VALUES)))
def test_a_value_is_read_as_it_was_written(value: object) -> None:
    assert read(written(value)) == value
    assert json.loads(written(value)) == value


@pytest.mark.parametrize("value", VALUES, ids=range(len(VALUES)))
def test_json_written_by_the_standard_library_is_read_the_same(value: object) -> None:
    assert read(json.dumps(value)) == value


def test_a_tuple_is_read_as_a_list_and_nan_is_preserved() -> None:
    assert read(written((1, 2))) == [1, 2]
    assert math.isnan(read("NaN"))


def test_a_value_without_json_representation_is_refused() -> None:
    with pytest.raises(TypeError):
        written(object())


def test_invalid_json_is_refused() -> None:
    with pytest.raises(ValueError, match="Expecting"):
        read("{")
