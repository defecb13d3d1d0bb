from __future__ import annotations

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
    assert policy.place_in_line(1_000, None) == 1_000
    assert policy.place_in_line(1_000, 5_000) == 6_000


def test_pauses_double_up_to_a_cap() -> None:
    assert [policy.backoff_ms(n, 1.0) for n in (1, 2, 3, 9)] == [1_000, 2_000, 4_000, 30_000]
    assert policy.backoff_ms(1, 0.0) == 500
