"""Validation of a client's request."""

from __future__ import annotations

import sys
import unicodedata
from collections.abc import Callable
from typing import Any

import pytest

from app.domain import image_request
from app.domain.errors import InvalidPrompt, InvalidRequest, Refusal

deep: dict[str, Any] = {}
for _ in range(9):
    deep = {"a": deep}


@pytest.mark.parametrize("prompt", ["a fox", "two\nlines\tand\r\na tab", "狐 🦊", "x" * 8_000, "\u200bmark"])
def test_a_valid_prompt_is_unchanged(prompt: str) -> None:
    assert image_request.clean_prompt(prompt) == prompt


@pytest.mark.parametrize("char", ["\x0b", "\x0c", "\x85", "\u2028", "\u2029"])
def test_an_unusual_line_break_in_a_prompt_is_a_line_break(char: str) -> None:
    assert image_request.clean_prompt(f"{char}a fox{char}in snow") == "\na fox\nin snow"


@pytest.mark.parametrize("prompt", ["👨\u200d👩\u200d👧", "❤\ufe0f", "می\u200cخواهم", "\u202eabc\u202c", "co\u00adop"])
def test_invisible_characters_among_visible_ones_are_kept(prompt: str) -> None:
    assert image_request.clean_prompt(prompt) == prompt


def test_controls_and_surrogates_are_forbidden_except_line_breaks_and_tabs() -> None:
    every = [chr(point) for point in range(sys.maxunicode + 1)]
    named = {char for char in every if unicodedata.category(char) in {"Cc", "Cs"}} - set("\n\r\t")
    assert {char for char in every if image_request.FORBIDDEN.search(char)} == named


@pytest.mark.parametrize(
    ("prompt", "expected"),
    [
        (None, "prompt is missing"),
        (5, "must be a string"),
        (["a fox"], "must be a string"),
        ("", "is empty"),
        (" \n\t ", "is empty"),
        ("x" * 8_001, "8,001 characters long: at most 8,000"),
        ("a\x00b", r"U\+0000"),
        ("a\x1b[31m", r"U\+001B"),
        ("a\x84b", r"U\+0084"),
        *(
            (char * 3, "is empty")
            for char in "\u200b\u200c\u200d\u200e\u2060\ufeff\u00ad\u180e\u3164\u2800\ufe0f\u115f"
        ),
        (" \u200b\n\ufeff\t\u2028", "is empty"),
        ("a\ud800b", "lone surrogate"),
    ],
)
def test_an_invalid_prompt_is_rejected_with_the_reason(prompt: object, expected: str) -> None:
    with pytest.raises(InvalidPrompt, match=expected) as refusal:
        image_request.clean_prompt(prompt)
    assert (refusal.value.code, refusal.value.status) == ("ERR_INVALID_PROMPT", 400)


@pytest.mark.parametrize("model", ["dall-e-3", "org/model:v1.2@x+y", "Stable Diffusion XL", "5"])
def test_a_valid_model_is_accepted(model: str) -> None:
    assert image_request.clean_model(model) == model


@pytest.mark.parametrize("user", ["cli-user", "ann@example.com", "auth0|5f=", "5"])
def test_a_valid_user_id_is_accepted(user: str) -> None:
    assert image_request.clean_user(user) == user


@pytest.mark.parametrize("value", [None, 5, "", " x", "-x", "a\nb", "x" * 129, "<b>", "a\x00"])
@pytest.mark.parametrize(
    ("clean", "name"), [(image_request.clean_model, "model"), (image_request.clean_user, "userId")]
)
def test_the_error_for_an_invalid_name_names_the_field(
    clean: Callable[[object], str], name: str, value: object
) -> None:
    with pytest.raises(InvalidRequest, match=f"^{name} must be a string"):
        clean(value)


def test_a_parameter_that_is_null_is_absent() -> None:
    assert image_request.clean_parameters({"width": None, "style": None, "seed": None, "steps": 20}) == {"steps": 20}


def test_unknown_parameters_are_kept_unchanged() -> None:
    value = {"width": 64, "height": 64.0, "quality": "hd", "style": "natural", "numberOfImages": 10}
    more = {"seed": [1, 2.5, {"a": None}], "negative prompt": "blur\n", "flag": True, "big": 2**64 - 1}
    assert image_request.clean_parameters({**value, **more}) == {**value, **more}


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        (None, "parameters must be a JSON object"),
        ([], "parameters must be a JSON object"),
        ({str(n): n for n in range(51)}, "51 fields"),
        ({"width": 15}, "parameters.width must be a whole number from 16 to 8,192"),
        ({"height": 8_193}, "parameters.height"),
        ({"width": True}, "parameters.width"),
        ({"width": "64"}, "parameters.width"),
        ({"width": 64.5}, "parameters.width"),
        ({"numberOfImages": 0}, "parameters.numberOfImages"),
        ({"numberOfImages": 11}, "parameters.numberOfImages"),
        ({"quality": "x" * 65}, "parameters.quality"),
        ({"style": 5}, "parameters.style"),
        ({"style": "a\nb"}, "parameters.style"),
        ({"a": {"b": ["\x00"]}}, "NUL or a lone surrogate"),
        ({"a\ud800": 1}, "NUL or a lone surrogate"),
        ({"a": 2**64}, "too large"),
        ({"a": float("inf")}, "too large"),
        (deep, "nested too deeply"),
    ],
)
def test_the_error_for_an_invalid_parameter_names_it(value: object, expected: str) -> None:
    with pytest.raises(InvalidRequest, match=expected):
        image_request.clean_parameters(value)


@pytest.mark.parametrize("value", [None, 1_000, 604_800_000, 5_000.0])
def test_a_valid_deadline_is_accepted(value: object) -> None:
    assert image_request.clean_deadline(value) == value


@pytest.mark.parametrize("value", [999, 604_800_001, "5000", True, -1, 1_000.5])
def test_an_invalid_deadline_is_rejected(value: object) -> None:
    with pytest.raises(Refusal, match=r"^deadlineMs must be a whole number from 1,000 to 604,800,000\.$"):
        image_request.clean_deadline(value)


@pytest.mark.parametrize(("parameters", "count"), [({}, 1), ({"numberOfImages": 4}, 4), ({"numberOfImages": 4.0}, 4)])
def test_one_picture_is_the_default(parameters: dict[str, object], count: int) -> None:
    assert image_request.ImageRequest("a fox", parameters=parameters).number_of_images == count


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        (2**53 - 1, 2**53 - 1),
        (2**53, "9007199254740992"),
        (-(2**53), "-9007199254740992"),
        (2**64 - 1, "18446744073709551615"),
        (1e300, 1e300),
        (True, True),
        ({"seed": [2**60, {"deep": 2**60}]}, {"seed": [str(2**60), {"deep": str(2**60)}]}),
    ],
)
def test_integers_that_javascript_would_round_become_text(value: object, expected: object) -> None:
    assert image_request.for_javascript(value) == expected
