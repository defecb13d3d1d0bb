"""How long is waited after faults and refusals, on a clock that the test moves."""

from __future__ import annotations

import pytest

from imagefleet.errors import ConnectionLost, ImagefleetError, Refused, TlsFailed, Unreachable
from imagefleet.retrying import Retries
from tests.support.library_clock import Clock

FAULT = Unreachable("Connection refused.")


@pytest.fixture(autouse=True)
def _moved(clock: Clock) -> None:
    """Time passes only where a test says so."""


def refusal(retry_after_s: float | None, status: int = 429) -> Refused:
    return Refused("Too fast.", status=status, retry_after_s=retry_after_s)


def waited_s(clock: Clock, retries: Retries, error: ImagefleetError) -> float:
    """How long the same error is waited for until it is raised."""
    began = clock.now_s
    with pytest.raises(type(error)):
        retry_for_ever(clock, retries, error)
    return clock.now_s - began


def retry_for_ever(clock: Clock, retries: Retries, error: ImagefleetError) -> None:
    while True:
        clock.sleep(retries.pause_s(error))


def test_faults_and_refusals_have_their_own_patience(clock: Clock) -> None:
    assert waited_s(clock, Retries(3.0, refused_s=600.0), FAULT) == pytest.approx(3.0)
    for refused in (refusal(7.0), refusal(7.0, status=503)):
        waited = waited_s(clock, Retries(3.0, refused_s=600.0), refused)
        assert 593.0 < round(waited, 6) <= 600.0  # a sum of many waits


def test_a_refusal_that_does_not_say_when_is_a_fault(clock: Clock) -> None:
    assert waited_s(clock, Retries(3.0, refused_s=600.0), refusal(None, status=503)) == pytest.approx(3.0)


def test_without_a_patience_of_their_own_refusals_have_that_of_faults(clock: Clock) -> None:
    assert waited_s(clock, Retries(10.0), refusal(43.0)) == 0.0
    assert waited_s(clock, Retries(10.0), refusal(4.0)) == 8.0


def test_an_answer_ends_what_was_faulty_before(clock: Clock) -> None:
    retries = Retries(3.0, refused_s=600.0)
    for _ in range(20):
        clock.sleep(retries.pause_s(FAULT))
        clock.sleep(retries.pause_s(refusal(5.0)))
    assert clock.now_s > 1100.0


def test_the_timeout_bounds_both(clock: Clock) -> None:
    assert waited_s(clock, Retries(120.0, 30.0), FAULT) == pytest.approx(30.0)
    assert waited_s(clock, Retries(120.0, 30.0, refused_s=600.0), refusal(8.0)) == 24.0


@pytest.mark.parametrize("error", [TlsFailed("No TLS."), ConnectionLost("It broke."), Refused("Wrong.", status=400)])
def test_what_a_retry_cannot_help_or_would_do_twice_is_raised_at_once(clock: Clock, error: ImagefleetError) -> None:
    assert waited_s(clock, Retries(10.0, refused_s=600.0, idempotent=False), error) == 0.0


def test_each_pause_is_announced() -> None:
    announced: list[tuple[ImagefleetError, float]] = []
    retries = Retries(3.0, refused_s=60.0, on_retry=lambda error, pause_s: announced.append((error, pause_s)))
    retries.pause_s(slow := refusal(8.0))
    assert announced == [(slow, 8.0)]
