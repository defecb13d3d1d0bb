"""Choosing extensions."""

from __future__ import annotations

from typing import Any

import pytest

from app.domain import policy


def candidate(name: str, held: int = 0, success: int = 0, models: tuple[str, ...] = ("*",)) -> policy.Candidate:
    return policy.Candidate(name, "c", "h", models, held, 4, success)


@pytest.mark.parametrize(
    ("capabilities", "expected"),
    [
        (["dall-e-3"], True),
        (["*"], True),
        (["image-generation"], True),
        ([], True),
        (["image-generation", "flux"], False),
    ],
)
def test_capabilities_decide_which_models_an_extension_serves(capabilities: list[str], expected: bool) -> None:
    assert policy.can_do(capabilities, "dall-e-3") is expected


def test_the_least_busy_is_chosen_then_the_most_recently_successful() -> None:
    free = [candidate("busy", 3), candidate("cold", 1, 10), candidate("warm", 1, 20)]
    assert policy.choose(free, "m") == free[2]


def test_the_extension_that_failed_a_job_gets_it_again_only_if_no_other_is_free() -> None:
    first, second = candidate("first"), candidate("second", 2)
    assert policy.choose([first, second], "m", avoid="first") == second
    assert policy.choose([first], "m", avoid="first") == first


def test_no_extension_is_chosen_if_none_is_capable() -> None:
    assert policy.choose([], "m") is None
    assert policy.choose([candidate("a", models=("flux",))], "m") is None


def test_the_choice_among_equals_is_stable() -> None:
    a, b = candidate("a"), candidate("b")
    assert policy.choose([a, b], "m") == policy.choose([b, a], "m") == a


def test_the_backoff_doubles_up_to_a_cap() -> None:
    assert [policy.backoff_ms(n, 1.0) for n in (1, 2, 3, 9)] == [1_000, 2_000, 4_000, 30_000]
    assert policy.backoff_ms(1, 0.0) == 500


HEALTHY = {"connected": True, "available": True, "paused": False, "held": 0, "slots": 2}


@pytest.mark.parametrize(
    ("changed", "expected"),
    [
        ({}, policy.ExtensionStatus.FREE),
        ({"held": 1}, policy.ExtensionStatus.FREE),
        ({"held": 2}, policy.ExtensionStatus.BUSY),
        ({"held": 2, "slots": 1}, policy.ExtensionStatus.BUSY),
        ({"held": 2, "paused": True}, policy.ExtensionStatus.PAUSED),
        ({"paused": True, "available": False}, policy.ExtensionStatus.UNAVAILABLE),
        ({"available": False, "connected": False}, policy.ExtensionStatus.AWAY),
    ],
)
def test_the_most_important_condition_decides_the_status(
    changed: dict[str, Any], expected: policy.ExtensionStatus
) -> None:
    assert policy.extension_status(**{**HEALTHY, **changed}) is expected


def test_a_name_that_only_python_takes_for_the_same_is_another() -> None:
    kelvin = "\N{KELVIN SIGN}-model"
    assert kelvin.lower() == "k-model"
    assert not policy.can_do([kelvin], "k-model")
    assert policy.served_models([kelvin]) == frozenset({kelvin})


@pytest.mark.parametrize(
    ("capabilities", "served"),
    [
        (["*"], ["flux"]),
        (["image-generation", "image-variation"], ["flux", "flux#variation"]),
        (["image-edit", "image-variation"], ["flux", "flux#edit", "flux#variation"]),
        (["FLUX", "image-edit"], ["flux", "flux#edit"]),
        (["other", "image-edit", "image-variation"], []),
        (["flux#edit"], []),
    ],
)
def test_variations_and_edits_are_made_by_those_that_announce_them(capabilities: list[str], served: list[str]) -> None:
    keys = ["flux", "flux#edit", "flux#variation"]
    assert [key for key in keys if policy.can_do(capabilities, key)] == served
    assert [key for key in keys if policy.Abilities.of([capabilities]).include(key)] == served


def test_operations_are_no_models() -> None:
    group = policy.FleetGroup(("image-edit", "flux", "image-variation"), 1, 1, 0, 1, 1, 0)
    assert policy.models_of([group]) == "flux"
    assert policy.listed_models([group], "dall-e-3") == ["flux"]
    assert policy.served_models(["image-generation", "image-edit"]) is None
    assert policy.model_for(["image-variation", "FLUX"], "flux") == "FLUX"


def test_any_model_is_any_that_does_the_operation() -> None:
    assert policy.can_do(["flux", "image-edit"], "*#edit")
    assert not policy.can_do(["flux", "image-edit"], "*#variation")
    assert policy.can_do(["flux"], "*")


def test_extensions_together_serve_what_one_of_them_serves() -> None:
    able = policy.Abilities.of([["flux", "image-edit"], ["*"], ["sdxl", "image-edit"]])
    assert [key for key in ("any", "flux#edit", "sdxl#edit", "any#edit", "flux#variation") if able.include(key)] == [
        "any",
        "flux#edit",
        "sdxl#edit",
    ]
