"""Sweeps find what crashes, lost messages and expired leases left behind."""

from __future__ import annotations

from app.domain.states import Status
from tests.support.harness import Harness

HOUR = 3_600_000


# -- leases


def test_an_offer_that_was_not_received_goes_to_another_extension_without_a_strike(harness: Harness) -> None:
    harness.connect("e1")
    job = harness.submit_and_assign()
    harness.expire_lease(job)
    harness.connect("e2")
    harness.sweep()
    job = harness.reload(job)
    assert (job.status, job.strikes, job.avoid) == (Status.ACCEPTED, 0, "e1")
    assert harness.events(job)[-1].data["code"] == "ERR_NO_EXTENSION"
    harness.assign()
    assert harness.reload(job).holder == "e2"


def test_the_job_of_a_lost_extension_is_requeued(harness: Harness) -> None:
    holder, job = harness.connect_and_start()
    harness.services.extensions.disconnected(holder.connection_id)
    harness.sweep()
    assert harness.reload(job).status is Status.PROCESSING
    harness.expire_lease(job)
    harness.sweep()
    assert (harness.reload(job).status, harness.reload(job).strikes) == (Status.ACCEPTED, 1)
    assert harness.events(job)[-1].data["reason"] == "The extension was lost and did not come back in time."


def test_an_extension_that_came_back_without_its_job_counts_as_lost(harness: Harness) -> None:
    _, job = harness.connect_and_start()
    harness.update_extension(connection_id="another-socket")
    harness.expire_lease(job)
    harness.sweep()
    assert "lost" in harness.events(job)[-1].data["reason"]


def test_an_expired_lease_is_a_strike_and_the_extension_receives_a_cancellation(harness: Harness) -> None:
    _, job = harness.connect_and_start()
    harness.expire_lease(job)
    harness.sweep()
    assert (harness.reload(job).status, harness.reload(job).strikes) == (Status.ACCEPTED, 1)
    fact = harness.events(job)[-1].data
    assert (fact["code"], fact["reason"]) == ("ERR_TIMEOUT", "The extension was silent for 300 seconds.")
    assert [word["requestId"] for word in harness.bench.bus.sent("cancel_generation")] == [job.id]
    assert harness.extension_row().held == 0


def test_an_attempt_that_is_too_long_is_a_strike(harness: Harness) -> None:
    _, job = harness.connect_and_start()
    harness.update_job(job, lease_until=1, attempt_until=1)
    harness.sweep()
    assert harness.events(job)[-1].data["reason"] == "The extension did not finish within 900 seconds."


def test_after_the_last_strike_the_request_has_timed_out(harness: Harness) -> None:
    harness = harness.with_settings(max_attempts=3)
    harness.connect()
    job = harness.submit_and_start()
    for _ in range(3):
        harness.expire_lease(job)
        harness.sweep()
        harness.assign()
        harness.services.generation.offer_received(job.id, harness.reload(job).lease or "")
    job = harness.reload(job)
    assert (job.status, job.error_code) == (Status.FAILED, "ERR_TIMEOUT")
    assert job.error == "The extension was silent for 300 seconds."
    assert harness.event_types(job).count("ImageGenerationRequeuedEvent") == 2


def test_a_valid_lease_is_not_ended(harness: Harness) -> None:
    _, job = harness.connect_and_start()
    harness.sweep()
    assert harness.reload(job) == job


# -- web processes


def test_requests_of_a_lost_web_process_are_requeued_after_the_grace_period(harness: Harness) -> None:
    _, job = harness.connect_and_start()
    harness.expire_hub()
    harness.sweep()
    assert not harness.extension_row().connected
    assert harness.reload(job).status is Status.PROCESSING
    assert (harness.reload(job).lease_until or 0) <= harness.now() + harness.services.settings.reconnect_grace_ms
    harness.expire_lease(job)
    harness.sweep()
    assert harness.reload(job).status is Status.ACCEPTED


def test_an_extension_of_a_lost_web_process_continues_over_another(harness: Harness) -> None:
    _, job = harness.connect_and_start()
    harness.expire_hub()
    harness.sweep()
    back = harness.connect(hub="hub-2", number=2, active=(job.id,))
    harness.report_image(back, job)
    assert harness.reload(job).status is Status.DOWNLOADING


def test_a_web_process_that_died_before_its_first_heartbeat_counts_as_lost_too(harness: Harness) -> None:
    harness.connect()
    harness.services.extensions.hub_stopped("hub-1")
    harness.update_extension(connected=True, connected_at=harness.now() - HOUR)
    harness.sweep()
    assert not harness.extension_row().connected


def test_a_web_process_about_to_send_its_first_heartbeat_does_not_count_as_lost(harness: Harness) -> None:
    harness.connect()
    harness.services.extensions.hub_stopped("hub-1")
    harness.update_extension(connected=True)
    harness.sweep()
    assert harness.extension_row().connected


# -- wake-ups


def test_a_lost_wake_up_is_repeated(harness: Harness) -> None:
    holder, job = harness.connect_and_start()
    harness.report_image(holder, job)
    harness.update_extension(available=False)
    harness.submit()
    harness.bench.tasks.downloads = harness.bench.tasks.assigns = 0
    harness.sweep()
    assert (harness.bench.tasks.downloads, harness.bench.tasks.assigns) == (1, 1)


def test_no_worker_is_woken_without_work(harness: Harness) -> None:
    harness.connect_and_start()
    harness.bench.tasks.assigns = 0
    harness.sweep()
    assert (harness.bench.tasks.downloads, harness.bench.tasks.assigns) == (0, 0)


def test_a_sweep_is_due_once_per_interval(harness: Harness) -> None:
    harness = harness.with_settings(sweep_interval_ms=60_000)  # longer than a sweep on a slow machine
    assert harness.services.housekeeping.is_due()
    harness.sweep()
    assert not harness.services.housekeeping.is_due()
    harness.set_last_sweep(harness.services.settings.sweep_interval_ms)
    assert harness.services.housekeeping.is_due()
