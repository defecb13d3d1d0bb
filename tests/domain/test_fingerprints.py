"""Requests with equal fingerprints are those that ask an extension for the same."""

from __future__ import annotations

from typing import Any

import pytest

from app.domain.fingerprints import fingerprint

REQUEST: dict[str, Any] = {
    "prompt": "a fox",
    "model": "dall-e-3",
    "any_model": False,
    "parameters": {"width": 64, "seed": 7, "loras": [{"name": "ink", "weight": 0.5}]},
    "number_of_images": 1,
}


def of(**changes: Any) -> str:
    return fingerprint(**{**REQUEST, **changes})


@pytest.mark.parametrize(
    "same",
    [
        {},
        {"model": "DALL-E-3"},
        {"parameters": {"loras": [{"weight": 0.5, "name": "ink"}], "seed": 7, "width": 64}},
        {"parameters": {**REQUEST["parameters"], "width": 64.0}},
        {"parameters": {**REQUEST["parameters"], "numberOfImages": 1}},
        {"parameters": {**REQUEST["parameters"], "numberOfImages": 1.0}},
    ],
)
def test_what_makes_no_difference_to_an_extension_makes_none_here(same: dict[str, Any]) -> None:
    assert of(**same) == of()


DIFFERENT: list[dict[str, Any]] = [
    {"prompt": "a fox "},
    {"prompt": "A fox"},
    {"prompt": "a f\u00f6x"},
    {"prompt": "a fo\u0308x"},
    {"model": "dall-e-2"},
    {"any_model": True},
    {"number_of_images": 2},
    {"parameters": {}},
    {"parameters": {**REQUEST["parameters"], "seed": 8}},
    {"parameters": {**REQUEST["parameters"], "seed": "7"}},
    {"parameters": {**REQUEST["parameters"], "seed": 7.5}},
    {"parameters": {**REQUEST["parameters"], "seed": True}},
    {"parameters": {**REQUEST["parameters"], "seed": 2**53 + 1}},
    {"parameters": {**REQUEST["parameters"], "seed": 2.0**53 + 2}},
    {
        "parameters": {**REQUEST["parameters"], "seed": 2**53 + 2}
    },  # extensions get it as text, and the one above as a number
    {"parameters": {**REQUEST["parameters"], "loras": []}},
    {"parameters": {**REQUEST["parameters"], "loras": [{"name": "ink", "weight": 1}]}},
    {"parameters": {**REQUEST["parameters"], "more": {"width": 64}}},
]


def test_what_makes_a_difference_makes_one_here() -> None:
    found = [of(), *(of(**changes) for changes in DIFFERENT)]
    assert len(set(found)) == len(found)


def test_a_fingerprint_is_short_and_stays_the_same_in_later_versions() -> None:
    """Stored ones would no longer be found."""
    assert of() == "101ff4af2fbb740982fcdfb65c29ddcb5456723986b7666eefd502d1a17c2a55"
