from __future__ import annotations

from typing import Any

import pytest

from app.domain import policy


def candidate(name: str, held: int = 0, success: int = 0, models: tuple[str, ...] = ("*",)) -> policy.Candidate:
    return policy.Candidate(name, "c", "h", models, held, 4, success)


@pytest.mark.parametrize(
    ("capabilities", "able"),
    [
        (["dall-e-3"], True),
        (["*"], True),
        (["image-generation"], True),
        ([], True),
        (["image-generation", "flux"], False),
    ],
)
def test_capabilities_say_who_can_do_a_model(capabilities: list[str], able: bool) -> None:
    assert policy.can_do(capabilities, "dall-e-3") is able


def test_the_least_busy_is_chosen_then_the_most_recently_successful() -> None:
    free = [candidate("busy", 3), candidate("cold", 1, 10), candidate("warm", 1, 20)]
    assert policy.choose(free, "m") == free[2]


def test_who_failed_a_job_gets_it_again_only_where_nobody_else_is_free() -> None:
    first, second = candidate("first"), candidate("second", 2)
    assert policy.choose([first, second], "m", avoid="first") == second
    assert policy.choose([first], "m", avoid="first") == first


def test_a_users_batch_is_spread_so_that_others_come_between() -> None:
    assert policy.virtual_start(1_000, None) == 1_000
    assert policy.virtual_start(1_000, 5_000) == 6_000


def line(*batches: tuple[str, int]) -> list[str]:
    """Whose requests come in which order, where every batch is sent at the same moment."""
    places: list[tuple[int, int, str]] = []
    for user, count in batches:
        last: int | None = None
        for _ in range(count):
            last = policy.virtual_start(1_000, last)
            places.append((last, len(places), user))
    return [user for _, _, user in sorted(places)]


def test_a_batch_of_500_makes_nobody_else_wait_for_all_of_it() -> None:
    assert line(("ann", 500), ("bob", 1)).index("bob") <= 2


def test_batches_are_served_in_turn() -> None:
    served = line(("ann", 500), ("bob", 100), ("carl", 100))
    for n in range(0, 300, 30):
        assert [served[:n].count(user) for user in ("ann", "bob", "carl")] == [n // 3] * 3


def test_a_user_who_sends_now_and_then_stands_where_it_arrives() -> None:
    assert policy.virtual_start(9_000, 5_000) == 9_000


def member(name: str, **more: Any) -> policy.ConnectedExtension:
    values: dict[str, Any] = {"capabilities": ("*",), "available": True, "held": 0, "max_concurrent": 1}
    return policy.ConnectedExtension(name, **{**values, "cooldown_until": 0, "cooldown_reason": None, **more})


RESTING = {"cooldown_until": 3_500, "cooldown_reason": "Too many requests"}
REASONS = [
    ([], "No extension is connected."),
    ([member("a", capabilities=("flux",))], "No connected extension supports the model dall-e-3."),
    (
        [member("a", available=False)],
        "The connected extensions that support the model are not accepting work at the moment.",
    ),
    (
        [member("a", **RESTING), member("b", cooldown_until=9_999, cooldown_reason="Later")],
        "The extensions that support the model are paused for 3 more s after a failure: Too many requests",
    ),
    ([member("a", held=1)], "The extension that supports the model is busy with other requests."),
    (
        [member("a", held=1), member("b", held=2)],
        "All 2 extensions that support the model are busy with other requests.",
    ),
    (
        [member("a", held=1), member("b", capabilities=("flux",))],
        "The extension that supports the model is busy with other requests.",
    ),
    ([member("a", held=1), member("b")], "The request is about to be assigned."),
    ([member("a", cooldown_until=1_000)], "The request is about to be assigned."),
]


@pytest.mark.parametrize(("fleet", "reason"), REASONS)
def test_why_a_request_waits(fleet: list[policy.ConnectedExtension], reason: str) -> None:
    assert policy.why_waiting(fleet, "dall-e-3", now_ms=1_000) == reason


def test_nobody_is_chosen_where_nobody_can() -> None:
    assert policy.choose([], "m") is None
    assert policy.choose([candidate("a", models=("flux",))], "m") is None


def test_among_equals_the_choice_is_always_the_same() -> None:
    a, b = candidate("a"), candidate("b")
    assert policy.choose([a, b], "m") == policy.choose([b, a], "m") == a


def test_pauses_double_up_to_a_cap() -> None:
    assert [policy.backoff_ms(n, 1.0) for n in (1, 2, 3, 9)] == [1_000, 2_000, 4_000, 30_000]
    assert policy.backoff_ms(1, 0.0) == 500
