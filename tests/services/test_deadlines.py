"""Timeouts and deadlines of waiting requests."""

from __future__ import annotations

from typing import Any

import pytest

from app.domain.states import Status
from tests.support.harness import Harness

HOUR = 3_600_000


def test_a_request_fails_after_the_queue_timeout(harness: Harness) -> None:
    job = harness.submit()
    harness.update_job(job, queued_at=1)
    harness.sweep()
    job = harness.reload(job)
    assert (job.status, job.error_code) == (Status.FAILED, "ERR_TIMEOUT")
    assert job.error == "The request waited in the queue for the longest time allowed."


def test_a_changed_queue_timeout_applies_to_waiting_requests(harness: Harness) -> None:
    harness.connect()
    harness.update_extension(available=False)
    job = harness.submit()
    harness.update_job(job, queued_at=harness.now() - HOUR)
    harness.with_settings(queue_timeout_ms=2 * HOUR).sweep()
    assert harness.reload(job).status is Status.ACCEPTED
    harness.with_settings(queue_timeout_ms=HOUR).sweep()
    assert (harness.reload(job).status, harness.reload(job).error_code) == (Status.FAILED, "ERR_TIMEOUT")


def test_a_request_in_progress_does_not_fail_by_the_queue_timeout(harness: Harness) -> None:
    _, job = harness.connect_and_start()
    harness.update_job(job, queued_at=1)
    before = harness.reload(job)
    harness.sweep()
    assert harness.reload(job) == before


@pytest.mark.parametrize("stage", ["accepted", "processing", "downloading"])
def test_a_request_fails_at_its_clients_deadline_in_every_open_status(harness: Harness, stage: str) -> None:
    job = harness.submit(deadline_ms=1_000)
    if stage != "accepted":
        holder = harness.connect()
        harness.assign()
    if stage == "downloading":
        harness.report_image(holder, job)
    harness.update_job(job, deadline_at=1)
    harness.sweep()
    job = harness.reload(job)
    assert (job.status, job.error_code) == (Status.FAILED, "ERR_TIMEOUT")
    assert job.error == "The request was not completed by its deadlineMs."
    assert len(harness.bench.bus.sent("cancel_generation")) == int(stage != "accepted")


@pytest.mark.parametrize("model", ["flux", "FLUX.1-dev"])
def test_a_request_that_no_extension_serves_fails_after_its_timeout(harness: Harness, model: str) -> None:
    harness.connect("e1", "dall-e-3")
    job = harness.submit(model=model)
    harness.sweep()
    assert harness.reload(job).status is Status.ACCEPTED
    harness.leave_unserved(job)
    harness.sweep()
    job = harness.reload(job)
    assert (job.status, job.error_code) == (Status.FAILED, "ERR_NO_EXTENSION")
    assert job.error == (
        f"No extension that makes pictures with {model.lower()} was connected for 300 seconds. "
        "Connected extensions make: dall-e-3."
    )


def test_a_request_with_a_deadline_of_its_own_waits_for_an_extension_until_that(harness: Harness) -> None:
    job = harness.submit(model="flux", deadline_ms=8 * HOUR)
    harness.sweep()
    harness.leave_unserved(job)
    harness.update_job(job, queued_at=1)
    harness.sweep()
    assert harness.reload(job).status is Status.ACCEPTED
    harness.update_job(job, deadline_at=1)
    harness.sweep()
    assert (harness.reload(job).status, harness.reload(job).error_code) == (Status.FAILED, "ERR_TIMEOUT")


@pytest.mark.parametrize(
    "state", [{"available": False}, {"cooldown_until": 2**53, "failures": 9}, {"held": 1}], ids=str
)
def test_requests_wait_while_a_capable_extension_is_busy(harness: Harness, state: dict[str, Any]) -> None:
    harness.connect()
    harness.update_extension(**state)
    job = harness.submit()
    harness.sweep()
    harness.leave_unserved(job)
    harness.sweep()
    assert harness.reload(job).status is Status.ACCEPTED


def test_the_unserved_timeout_starts_when_the_last_capable_extension_leaves(harness: Harness) -> None:
    holder = harness.connect()
    job = harness.submit()
    harness.update_extension(available=False)
    harness.sweep()
    harness.update_job(job, queued_at=harness.now() - HOUR)
    harness.services.extensions.disconnected(holder.connection_id)
    harness.sweep()
    assert harness.reload(job).status is Status.ACCEPTED


def test_a_new_request_for_a_long_unserved_model_gets_the_full_timeout(harness: Harness) -> None:
    job = harness.submit(model="flux")
    harness.sweep()
    harness.leave_unserved(job)
    fresh = harness.submit(model="flux")
    harness.sweep()
    assert [harness.reload(each).status for each in (job, fresh)] == [Status.FAILED, Status.ACCEPTED]
