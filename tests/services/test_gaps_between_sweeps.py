"""Sweeps after a long gap, and concurrent sweeps."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor

import pytest

from app.domain.states import Status
from tests.support.harness import Harness

HOUR = 3_600_000


def test_a_long_gap_between_sweeps_does_not_expire_leases(harness: Harness) -> None:
    harness.sweep()
    _, job = harness.connect_and_start()
    harness.update_job(job, lease_until=harness.now() - HOUR + 60_000, attempt_until=harness.now() - HOUR + 90_000)
    harness.expire_hub()
    harness.set_last_sweep(ms_ago=HOUR)
    before = harness.now()
    harness.sweep()
    held = harness.reload(job)
    assert held.status is Status.PROCESSING
    assert (held.lease_until or 0) == pytest.approx(before + 60_000, abs=5_000)
    assert (held.attempt_until or 0) == pytest.approx(before + 90_000, abs=5_000)
    assert harness.extension_row().connected


def test_after_a_gap_between_sweeps_no_lease_exceeds_a_new_one(harness: Harness) -> None:
    harness.connect("e1")
    harness.sweep()
    job = harness.submit_and_start()
    harness.connect("e2")
    offer = harness.submit_and_assign()
    harness.set_last_sweep(ms_ago=HOUR)
    harness.sweep()
    now, settings = harness.now(), harness.services.settings
    assert (harness.reload(job).lease_until or 0) <= now + settings.request_timeout_ms
    assert (harness.reload(job).attempt_until or 0) <= now + settings.request_max_ms
    assert (harness.reload(offer).lease_until or 0) <= now + settings.offer_timeout_ms


def test_a_gap_between_sweeps_extends_the_unserved_timeout(harness: Harness) -> None:
    job = harness.submit(model="flux")
    harness.sweep()
    harness.leave_unserved(job)
    harness.set_last_sweep(ms_ago=HOUR)
    harness.sweep()
    assert harness.reload(job).status is Status.ACCEPTED


def test_a_gap_between_sweeps_does_not_extend_a_clients_deadline(harness: Harness) -> None:
    harness.sweep()
    job = harness.submit(deadline_ms=1_000)
    harness.update_job(job, deadline_at=1)
    harness.set_last_sweep(ms_ago=HOUR)
    harness.sweep()
    assert harness.reload(job).status is Status.FAILED


@pytest.mark.parametrize(("interval_ms", "ms_ago"), [(2_000, 14_000), (60_000, 60_500)])
def test_regular_sweeps_extend_no_deadline(harness: Harness, interval_ms: int, ms_ago: int) -> None:
    harness = harness.with_settings(sweep_interval_ms=interval_ms)
    harness.sweep()
    _, job = harness.connect_and_start()
    harness.set_last_sweep(ms_ago=ms_ago)
    harness.sweep()
    assert harness.reload(job) == job


def test_concurrent_sweeps_do_no_harm(harness: Harness) -> None:
    harness = harness.with_settings(max_attempts=2)
    harness.connect(max_concurrent=12)
    silent = [harness.submit_and_start() for _ in range(6)]
    offers = [harness.submit_and_assign() for _ in range(6)]
    late = [harness.submit(deadline_ms=1_000) for _ in range(6)]
    for job in silent + offers:
        harness.expire_lease(job)
    for job in late:
        harness.update_job(job, deadline_at=1)
    with ThreadPoolExecutor(6) as pool:
        list(pool.map(lambda _: harness.sweep(), range(12)))
    assert [(harness.reload(job).status, harness.reload(job).strikes) for job in silent] == [(Status.ACCEPTED, 1)] * 6
    assert [(harness.reload(job).status, harness.reload(job).strikes) for job in offers] == [(Status.ACCEPTED, 0)] * 6
    assert {harness.reload(job).status for job in late} == {Status.FAILED}
    for job in silent + offers:
        assert harness.event_types(job).count("ImageGenerationRequeuedEvent") == 1
    assert harness.extension_row().held == 0


def test_either_a_concurrent_sweep_or_a_result_counts(harness: Harness) -> None:
    holder = harness.connect(max_concurrent=8)
    made = [harness.submit_and_start() for _ in range(8)]
    for job in made:
        harness.expire_lease(job)
    with ThreadPoolExecutor(8) as pool:
        calls = [pool.submit(harness.services.housekeeping.end_leases)]
        calls += [pool.submit(harness.report_image, holder, job) for job in made]
        errors = [call.exception() for call in calls]
    taken = [job for job, error in zip(made, errors[1:], strict=True) if error is None]
    assert errors[0] is None
    for job in made:
        assert harness.reload(job).status is (Status.DOWNLOADING if job in taken else Status.ACCEPTED)
    assert harness.extension_row().held == 0
