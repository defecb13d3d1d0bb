"""What is written into a column of JSON is what is read from it, and what others wrote there before."""

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
def test_a_value_comes_back_as_it_went_there(value: object) -> None:
    assert read(written(value)) == value
    assert json.loads(written(value)) == value


@pytest.mark.parametrize("value", VALUES, ids=range(len(VALUES)))
def test_what_the_standard_library_wrote_is_read_the_same(value: object) -> None:
    assert read(json.dumps(value)) == value


def test_a_tuple_is_a_list_and_a_number_that_is_none_stays_what_it_was() -> None:
    assert read(written((1, 2))) == [1, 2]
    assert math.isnan(read("NaN"))


def test_what_json_does_not_have_is_refused() -> None:
    with pytest.raises(TypeError):
        written(object())


def test_what_is_no_json_is_refused() -> None:
    with pytest.raises(ValueError, match="Expecting"):
        read("{")
