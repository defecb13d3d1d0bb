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
