"""Sweeps that were away for long, and sweeps at the same time."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor

import pytest

from app.domain.states import Status
from tests.support.harness import Harness

HOUR = 3_600_000


def test_a_long_gap_between_sweeps_does_not_expire_leases(harness: Harness) -> None:
    harness.sweep()
    _, job = harness.at_work()
    harness.pass_time(job, lease_until=harness.clock() - HOUR + 60_000, attempt_until=harness.clock() - HOUR + 90_000)
    harness.hub_falls_silent()
    harness.last_sweep_was(ms_ago=HOUR)
    before = harness.clock()
    harness.sweep()
    held = harness.now(job)
    assert held.status is Status.PROCESSING
    assert (held.lease_until or 0) == pytest.approx(before + 60_000, abs=5_000)
    assert (held.attempt_until or 0) == pytest.approx(before + 90_000, abs=5_000)
    assert harness.extension().connected


def test_after_a_pause_nothing_lasts_longer_than_if_it_began_now(harness: Harness) -> None:
    harness.join("e1")
    harness.sweep()
    job = harness.taken()
    harness.join("e2")
    offer = harness.offered()
    harness.last_sweep_was(ms_ago=HOUR)
    harness.sweep()
    now, settings = harness.clock(), harness.services.settings
    assert (harness.now(job).lease_until or 0) <= now + settings.request_timeout_ms
    assert (harness.now(job).attempt_until or 0) <= now + settings.request_max_ms
    assert (harness.now(offer).lease_until or 0) <= now + settings.offer_timeout_ms


def test_a_pause_puts_off_that_a_model_is_unserved(harness: Harness) -> None:
    job = harness.order(model="flux")
    harness.sweep()
    harness.long_unserved(job)
    harness.last_sweep_was(ms_ago=HOUR)
    harness.sweep()
    assert harness.now(job).status is Status.ACCEPTED


def test_a_gap_between_sweeps_does_not_extend_a_clients_deadline(harness: Harness) -> None:
    harness.sweep()
    job = harness.order(deadline_ms=1_000)
    harness.pass_time(job, deadline_at=1)
    harness.last_sweep_was(ms_ago=HOUR)
    harness.sweep()
    assert harness.now(job).status is Status.FAILED


@pytest.mark.parametrize(("interval_ms", "ms_ago"), [(2_000, 14_000), (60_000, 60_500)])
def test_sweeps_that_come_as_they_should_put_nothing_off(harness: Harness, interval_ms: int, ms_ago: int) -> None:
    harness = harness.with_settings(sweep_interval_ms=interval_ms)
    harness.sweep()
    _, job = harness.at_work()
    harness.last_sweep_was(ms_ago=ms_ago)
    harness.sweep()
    assert harness.now(job) == job


def test_sweeps_at_the_same_time_do_no_harm(harness: Harness) -> None:
    harness = harness.with_settings(max_attempts=2)
    harness.join(max_concurrent=12)
    silent = [harness.taken() for _ in range(6)]
    offers = [harness.offered() for _ in range(6)]
    late = [harness.order(deadline_ms=1_000) for _ in range(6)]
    for job in silent + offers:
        harness.lease_ends(job)
    for job in late:
        harness.pass_time(job, deadline_at=1)
    with ThreadPoolExecutor(6) as pool:
        list(pool.map(lambda _: harness.sweep(), range(12)))
    assert [(harness.now(job).status, harness.now(job).strikes) for job in silent] == [(Status.ACCEPTED, 1)] * 6
    assert [(harness.now(job).status, harness.now(job).strikes) for job in offers] == [(Status.ACCEPTED, 0)] * 6
    assert {harness.now(job).status for job in late} == {Status.FAILED}
    for job in silent + offers:
        assert harness.types(job).count("ImageGenerationRequeuedEvent") == 1
    assert harness.extension().held == 0


def test_sweeps_that_meet_results_let_one_of_them_count(harness: Harness) -> None:
    holder = harness.join(max_concurrent=8)
    made = [harness.taken() for _ in range(8)]
    for job in made:
        harness.lease_ends(job)
    with ThreadPoolExecutor(8) as pool:
        calls = [pool.submit(harness.services.housekeeping.end_leases)]
        calls += [pool.submit(harness.deliver, holder, job) for job in made]
        errors = [call.exception() for call in calls]
    taken = [job for job, error in zip(made, errors[1:], strict=True) if error is None]
    assert errors[0] is None
    for job in made:
        assert harness.now(job).status is (Status.DOWNLOADING if job in taken else Status.ACCEPTED)
    assert harness.extension().held == 0
