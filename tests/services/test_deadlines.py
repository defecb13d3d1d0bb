"""Requests that wait for too long."""

from __future__ import annotations

from typing import Any

import pytest

from app.domain.states import Status
from tests.support.harness import Harness

HOUR = 3_600_000


def test_a_request_fails_after_the_queue_timeout(harness: Harness) -> None:
    job = harness.order()
    harness.pass_time(job, created_at=1)
    harness.sweep()
    job = harness.now(job)
    assert (job.status, job.error_code) == (Status.FAILED, "ERR_TIMEOUT")
    assert job.error == "The request waited in the queue for the longest time allowed."


def test_the_longest_wait_is_what_the_settings_say_now(harness: Harness) -> None:
    harness.join()
    harness.set_extension(available=False)
    job = harness.order()
    harness.pass_time(job, created_at=harness.clock() - HOUR)
    harness.with_settings(queue_timeout_ms=2 * HOUR).sweep()
    assert harness.now(job).status is Status.ACCEPTED
    harness.with_settings(queue_timeout_ms=HOUR).sweep()
    assert (harness.now(job).status, harness.now(job).error_code) == (Status.FAILED, "ERR_TIMEOUT")


def test_a_request_in_progress_does_not_fail_by_the_queue_timeout(harness: Harness) -> None:
    _, job = harness.at_work()
    harness.pass_time(job, created_at=1)
    before = harness.now(job)
    harness.sweep()
    assert harness.now(job) == before


@pytest.mark.parametrize("stage", ["accepted", "processing", "downloading"])
def test_a_clients_deadline_fails_its_request_in_every_status(harness: Harness, stage: str) -> None:
    job = harness.order(deadline_ms=1_000)
    if stage != "accepted":
        holder = harness.join()
        harness.hand_out()
    if stage == "downloading":
        harness.deliver(holder, job)
    harness.pass_time(job, deadline_at=1)
    harness.sweep()
    job = harness.now(job)
    assert (job.status, job.error_code) == (Status.FAILED, "ERR_TIMEOUT")
    assert job.error == "The request was not completed by its deadlineMs."
    assert len(harness.bench.bus.sent("cancel_generation")) == int(stage != "accepted")


def test_a_request_that_no_extension_serves_fails_after_its_timeout(harness: Harness) -> None:
    harness.join("e1", "dall-e-3")
    job = harness.order(model="flux")
    harness.sweep()
    assert harness.now(job).status is Status.ACCEPTED
    harness.long_unserved(job)
    harness.sweep()
    job = harness.now(job)
    assert (job.status, job.error_code) == (Status.FAILED, "ERR_NO_EXTENSION")
    assert job.error == "No extension that makes pictures with flux was connected for 300 seconds."


@pytest.mark.parametrize(
    "state", [{"available": False}, {"cooldown_until": 2**53, "failures": 9}, {"held": 1}], ids=str
)
def test_while_an_able_extension_is_merely_busy_requests_wait(harness: Harness, state: dict[str, Any]) -> None:
    harness.join()
    harness.set_extension(**state)
    job = harness.order()
    harness.sweep()
    harness.long_unserved(job)
    harness.sweep()
    assert harness.now(job).status is Status.ACCEPTED


def test_when_the_last_able_extension_leaves_the_wait_begins_anew(harness: Harness) -> None:
    holder = harness.join()
    job = harness.order()
    harness.set_extension(available=False)
    harness.sweep()
    harness.pass_time(job, created_at=harness.clock() - HOUR)
    harness.services.extensions.disconnected(holder.connection_id)
    harness.sweep()
    assert harness.now(job).status is Status.ACCEPTED


def test_a_new_request_for_a_model_long_unserved_has_its_full_wait(harness: Harness) -> None:
    job = harness.order(model="flux")
    harness.sweep()
    harness.long_unserved(job)
    fresh = harness.order(model="flux")
    harness.sweep()
    assert [harness.now(each).status for each in (job, fresh)] == [Status.FAILED, Status.ACCEPTED]
