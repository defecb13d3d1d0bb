"""Sentences for pydantic's validation errors."""

from __future__ import annotations

from enum import StrEnum
from typing import Annotated, Any, Literal

import pytest
from pydantic import AfterValidator, BaseModel, Field, ValidationError
from pydantic_core import PydanticCustomError

from app.domain.validation import first_error, sentence
from app.domain.wire_types import WireModel


class Color(StrEnum):
    RED = "red"
    BLUE = "blue"


class Inner(BaseModel):
    count: int = Field(default=0, ge=1, le=9)


def _refuse(_: str) -> str:
    raise PydanticCustomError("own", "must rhyme")


class Model(WireModel):
    some_text: Annotated[str, Field(min_length=2, max_length=3, pattern="^a+$")] = "aa"
    number: float = Field(default=0, strict=True, allow_inf_nan=False)
    share: float = Field(default=0, le=2_000)
    bounded: float = Field(default=0, ge=0, le=6_000, allow_inf_nan=False)
    whole: int = Field(default=0, ge=1, le=9)
    flag: bool = True
    color: Color = Color.RED
    form: Literal["zip", "jsonl"] = "zip"
    items: tuple[Inner, ...] = Field(default=(), min_length=1, max_length=2)
    data: dict[str, Any] = Field(default_factory=dict)
    own: Annotated[str, AfterValidator(_refuse)] = ""
    needed: int


@pytest.mark.parametrize(
    ("values", "expected"),
    [
        ({}, "needed is missing"),
        ({"someText": 5}, "someText must be a string"),
        ({"someText": "\ud800"}, "someText must be a string without lone surrogates"),
        ({"someText": "a"}, "someText must be a string of 2 or more characters"),
        ({"someText": "aaaa"}, "someText must be a string of 3 or fewer characters"),
        ({"someText": "abc"}, "someText must be a string of the form ^a+$"),
        ({"number": "5"}, "number must be a number"),
        ({"number": float("inf")}, "number must be a number"),
        ({"flag": "perhaps"}, "flag must be true or false"),
        ({"flag": []}, "flag must be true or false"),
        ({"color": "green"}, "color must be one of 'red' or 'blue'"),
        ({"form": "rar"}, "form must be 'zip' or 'jsonl'"),
        ({"items": "x"}, "items must be a list"),
        ({"items": []}, "items must be a list of 1 or more items"),
        ({"items": [{}, {}, {}]}, "items must be a list of 2 or fewer items"),
        ({"items": [{}, {"count": 0}]}, "items.1.count must be 1 or more"),
        ({"items": [{"count": 10}]}, "items.0.count must be 9 or less"),
        ({"items": [{"count": 1.5}]}, "items.0.count must be a whole number"),
        ({"items": [{"count": "many"}]}, "items.0.count must be a whole number"),
        ({"items": [5]}, "items.0 must be an object"),
        ({"data": []}, "data must be an object"),
        ({"own": "x"}, "own must rhyme"),
    ],
)
def test_the_sentence_names_the_field_and_what_is_allowed(values: dict[str, Any], expected: str) -> None:
    with pytest.raises(ValidationError) as caught:
        Model.model_validate(values)
    assert sentence(first_error(caught.value)) == expected


@pytest.mark.parametrize(
    ("values", "expected"),
    [
        ({"share": 2_001}, "share must be 2000 or less"),
        ({"bounded": -1}, "bounded must be between 0 and 6,000"),
        ({"bounded": 6_001}, "bounded must be between 0 and 6,000"),
        ({"bounded": "x"}, "bounded must be between 0 and 6,000"),
        ({"bounded": float("nan")}, "bounded must be between 0 and 6,000"),
        ({"whole": 0}, "whole must be between 1 and 9"),
        ({"whole": 10}, "whole must be between 1 and 9"),
        ({"whole": "x"}, "whole must be a whole number between 1 and 9"),
        ({"whole": 1.5}, "whole must be a whole number between 1 and 9"),
        ({"whole": []}, "whole must be a whole number between 1 and 9"),
        ({"items": [{"count": 10}]}, "items.0.count must be 9 or less"),
    ],
)
def test_both_bounds_of_a_number_are_named_if_the_model_is_known(values: dict[str, Any], expected: str) -> None:
    with pytest.raises(ValidationError) as caught:
        Model.model_validate(values)
    assert sentence(first_error(caught.value), Model) == expected
