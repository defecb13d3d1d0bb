"""Sweeps that were away for long, and sweeps at the same time."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor

import pytest

from app.domain.states import Status
from tests.support.crew import Crew

HOUR = 3_600_000


def test_a_long_gap_between_sweeps_does_not_expire_leases(crew: Crew) -> None:
    crew.sweep()
    _, job = crew.at_work()
    crew.pass_time(job, lease_until=crew.clock() - HOUR + 60_000, attempt_until=crew.clock() - HOUR + 90_000)
    crew.hub_falls_silent()
    crew.last_sweep_was(ms_ago=HOUR)
    before = crew.clock()
    crew.sweep()
    held = crew.now(job)
    assert held.status is Status.PROCESSING
    assert (held.lease_until or 0) == pytest.approx(before + 60_000, abs=5_000)
    assert (held.attempt_until or 0) == pytest.approx(before + 90_000, abs=5_000)
    assert crew.extension().connected


def test_after_a_pause_nothing_lasts_longer_than_if_it_began_now(crew: Crew) -> None:
    crew.join("e1")
    crew.sweep()
    job = crew.taken()
    crew.join("e2")
    offer = crew.offered()
    crew.last_sweep_was(ms_ago=HOUR)
    crew.sweep()
    now, settings = crew.clock(), crew.services.settings
    assert (crew.now(job).lease_until or 0) <= now + settings.request_timeout_ms
    assert (crew.now(job).attempt_until or 0) <= now + settings.request_max_ms
    assert (crew.now(offer).lease_until or 0) <= now + settings.offer_timeout_ms


def test_a_pause_puts_off_that_a_model_is_unserved(crew: Crew) -> None:
    job = crew.order(model="flux")
    crew.sweep()
    crew.long_unserved(job)
    crew.last_sweep_was(ms_ago=HOUR)
    crew.sweep()
    assert crew.now(job).status is Status.ACCEPTED


def test_a_gap_between_sweeps_does_not_extend_a_clients_deadline(crew: Crew) -> None:
    crew.sweep()
    job = crew.order(deadline_ms=1_000)
    crew.pass_time(job, deadline_at=1)
    crew.last_sweep_was(ms_ago=HOUR)
    crew.sweep()
    assert crew.now(job).status is Status.FAILED


@pytest.mark.parametrize(("interval_ms", "ms_ago"), [(2_000, 14_000), (60_000, 60_500)])
def test_sweeps_that_come_as_they_should_put_nothing_off(crew: Crew, interval_ms: int, ms_ago: int) -> None:
    crew = crew.with_settings(sweep_interval_ms=interval_ms)
    crew.sweep()
    _, job = crew.at_work()
    crew.last_sweep_was(ms_ago=ms_ago)
    crew.sweep()
    assert crew.now(job) == job


def test_sweeps_at_the_same_time_do_no_harm(crew: Crew) -> None:
    crew = crew.with_settings(max_attempts=2)
    crew.join(max_concurrent=12)
    silent = [crew.taken() for _ in range(6)]
    offers = [crew.offered() for _ in range(6)]
    late = [crew.order(deadline_ms=1_000) for _ in range(6)]
    for job in silent + offers:
        crew.lease_ends(job)
    for job in late:
        crew.pass_time(job, deadline_at=1)
    with ThreadPoolExecutor(6) as pool:
        list(pool.map(lambda _: crew.sweep(), range(12)))
    assert [(crew.now(job).status, crew.now(job).strikes) for job in silent] == [(Status.ACCEPTED, 1)] * 6
    assert [(crew.now(job).status, crew.now(job).strikes) for job in offers] == [(Status.ACCEPTED, 0)] * 6
    assert {crew.now(job).status for job in late} == {Status.FAILED}
    for job in silent + offers:
        assert crew.types(job).count("ImageGenerationRequeuedEvent") == 1
    assert crew.extension().held == 0


def test_sweeps_that_meet_results_let_one_of_them_count(crew: Crew) -> None:
    holder = crew.join(max_concurrent=8)
    made = [crew.taken() for _ in range(8)]
    for job in made:
        crew.lease_ends(job)
    with ThreadPoolExecutor(8) as pool:
        calls = [pool.submit(crew.services.housekeeping.end_leases)]
        calls += [pool.submit(crew.deliver, holder, job) for job in made]
        errors = [call.exception() for call in calls]
    taken = [job for job, error in zip(made, errors[1:], strict=True) if error is None]
    assert errors[0] is None
    for job in made:
        assert crew.now(job).status is (Status.DOWNLOADING if job in taken else Status.ACCEPTED)
    assert crew.extension().held == 0
