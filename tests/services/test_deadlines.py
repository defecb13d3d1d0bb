"""Requests that wait for too long."""

from __future__ import annotations

from typing import Any

import pytest

from app.domain.states import Status
from tests.support.crew import Crew

HOUR = 3_600_000


def test_a_request_fails_after_the_queue_timeout(crew: Crew) -> None:
    job = crew.order()
    crew.pass_time(job, created_at=1)
    crew.sweep()
    job = crew.now(job)
    assert (job.status, job.error_code) == (Status.FAILED, "ERR_TIMEOUT")
    assert job.error == "The request waited in the queue for the longest time allowed."


def test_the_longest_wait_is_what_the_settings_say_now(crew: Crew) -> None:
    crew.join()
    crew.set_extension(available=False)
    job = crew.order()
    crew.pass_time(job, created_at=crew.clock() - HOUR)
    crew.with_settings(queue_timeout_ms=2 * HOUR).sweep()
    assert crew.now(job).status is Status.ACCEPTED
    crew.with_settings(queue_timeout_ms=HOUR).sweep()
    assert (crew.now(job).status, crew.now(job).error_code) == (Status.FAILED, "ERR_TIMEOUT")


def test_a_request_in_progress_does_not_fail_by_the_queue_timeout(crew: Crew) -> None:
    _, job = crew.at_work()
    crew.pass_time(job, created_at=1)
    before = crew.now(job)
    crew.sweep()
    assert crew.now(job) == before


@pytest.mark.parametrize("stage", ["accepted", "processing", "downloading"])
def test_a_clients_deadline_fails_its_request_in_every_status(crew: Crew, stage: str) -> None:
    job = crew.order(deadline_ms=1_000)
    if stage != "accepted":
        holder = crew.join()
        crew.hand_out()
    if stage == "downloading":
        crew.deliver(holder, job)
    crew.pass_time(job, deadline_at=1)
    crew.sweep()
    job = crew.now(job)
    assert (job.status, job.error_code) == (Status.FAILED, "ERR_TIMEOUT")
    assert job.error == "The request was not completed by its deadlineMs."
    assert len(crew.bench.bus.sent("cancel_generation")) == int(stage != "accepted")


def test_a_request_that_no_extension_serves_fails_after_its_timeout(crew: Crew) -> None:
    crew.join("e1", "dall-e-3")
    job = crew.order(model="flux")
    crew.sweep()
    assert crew.now(job).status is Status.ACCEPTED
    crew.long_unserved(job)
    crew.sweep()
    job = crew.now(job)
    assert (job.status, job.error_code) == (Status.FAILED, "ERR_NO_EXTENSION")
    assert job.error == "No extension that makes pictures with flux was connected for 300 seconds."


@pytest.mark.parametrize(
    "state", [{"available": False}, {"cooldown_until": 2**53, "failures": 9}, {"held": 1}], ids=str
)
def test_while_an_able_extension_is_merely_busy_requests_wait(crew: Crew, state: dict[str, Any]) -> None:
    crew.join()
    crew.set_extension(**state)
    job = crew.order()
    crew.sweep()
    crew.long_unserved(job)
    crew.sweep()
    assert crew.now(job).status is Status.ACCEPTED


def test_when_the_last_able_extension_leaves_the_wait_begins_anew(crew: Crew) -> None:
    holder = crew.join()
    job = crew.order()
    crew.set_extension(available=False)
    crew.sweep()
    crew.pass_time(job, created_at=crew.clock() - HOUR)
    crew.services.extensions.disconnected(holder.connection_id)
    crew.sweep()
    assert crew.now(job).status is Status.ACCEPTED


def test_a_new_request_for_a_model_long_unserved_has_its_full_wait(crew: Crew) -> None:
    job = crew.order(model="flux")
    crew.sweep()
    crew.long_unserved(job)
    fresh = crew.order(model="flux")
    crew.sweep()
    assert [crew.now(each).status for each in (job, fresh)] == [Status.FAILED, Status.ACCEPTED]
