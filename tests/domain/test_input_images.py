"""What clients may say about input pictures."""

from __future__ import annotations

from typing import Any

import pytest

from app.domain.errors import InvalidRequest
from app.domain.input_images import clean_input_images, operation_of
from app.domain.input_references import InputReference, Role
from app.domain.operations import Operation, queue_key, split_key

ID = "550e8400-e29b-41d4-a716-446655440000"
IMAGE = {"inputId": ID}
BAD_POSITIONS: tuple[Any, ...] = (-1, 10, "0", True, 0.5)
BAD_STRENGTHS: tuple[Any, ...] = (-0.1, 1.1, "1", True, float("nan"), [])
BAD_ROLES: tuple[Any, ...] = ("", "Image", "MASK", 7)


def test_a_reference_has_an_id_a_role_and_a_strength() -> None:
    value = [
        {"inputId": ID.upper(), "strength": 1, "role": None, "position": None},
        {"requestId": ID, "position": 3},
        {"requestId": ID, "role": "mask", "strength": 0.5},
    ]
    assert clean_input_images(value) == (
        InputReference(input_id=ID, strength=1.0),
        InputReference(request_id=ID, position=3),
        InputReference(request_id=ID, role=Role.MASK, strength=0.5),
    )
    assert clean_input_images(None) == clean_input_images([]) == ()


@pytest.mark.parametrize(
    ("value", "field"),
    [
        ("a", "inputImages"),
        ({}, "inputImages"),
        ([IMAGE] * 5, "inputImages"),
        ([{**IMAGE, "role": "mask"}], "inputImages"),
        ([IMAGE, {**IMAGE, "role": "mask"}, {**IMAGE, "role": "mask"}], "inputImages"),
        ([7], "inputImages[0]"),
        ([{}], "inputImages[0]"),
        ([IMAGE, {**IMAGE, "requestId": ID}], "inputImages[1]"),
        ([{**IMAGE, "url": "https://images.example/a.png"}], "inputImages[0].url"),
        ([{**IMAGE, "position": 0}], "inputImages[0].position"),
        ([{"inputId": "../../etc/passwd"}], "inputImages[0].inputId"),
        ([{"inputId": 7}], "inputImages[0].inputId"),
        ([{"requestId": ""}], "inputImages[0].requestId"),
        *(([{"requestId": ID, "position": bad}], None) for bad in BAD_POSITIONS),
        *(([{**IMAGE, "strength": bad}], "inputImages[0].strength") for bad in BAD_STRENGTHS),
        *(([{**IMAGE, "role": bad}], "inputImages[0].role") for bad in BAD_ROLES),
    ],
)
def test_what_is_wrong_is_named(value: Any, field: str | None) -> None:
    with pytest.raises(InvalidRequest) as caught:
        clean_input_images(value)
    assert caught.value.field == field
    assert str(caught.value).startswith(field or "inputImages[0].position")


def test_inputs_make_variations_and_masks_make_edits() -> None:
    assert operation_of([]) is Operation.CREATE
    assert operation_of(["image", "image"]) is Operation.VARIATION
    assert operation_of(["mask", "image"]) is Operation.EDIT


@pytest.mark.parametrize("operation", list(Operation))
def test_the_key_of_a_queue_names_model_and_operation(operation: Operation) -> None:
    assert split_key(queue_key("Flux 2", operation)) == ("flux 2", operation)


@pytest.mark.parametrize("text", ["flux", "a#b", "#", "a#", "flux#Edit"])
def test_other_texts_are_models(text: str) -> None:
    assert split_key(text) == (text, Operation.CREATE)
