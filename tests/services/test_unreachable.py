"""Offers that do not reach their extension."""

from __future__ import annotations

from app.domain.states import Status
from tests.support.harness import Harness


def test_an_unreachable_hub_causes_a_requeue_at_once_without_a_strike(harness: Harness) -> None:
    harness.bench.bus.unreachable_hubs.add("hub-1")
    harness.connect()
    job = harness.submit_and_assign()
    assert (job.status, job.holder, job.lease, job.strikes) == (Status.ACCEPTED, None, None, 0)
    assert harness.extension_row().held == 0
    assert harness.extension_row().failures == 0
    assert harness.events(job)[-1].data["reason"] == "The extension could not be reached."


def test_a_request_that_did_not_reach_its_extension_is_offered_to_another_at_once(harness: Harness) -> None:
    harness.bench.bus.unreachable_hubs.add("hub-2")
    harness.connect("near", hub="hub-1")
    harness.connect("far", hub="hub-2")
    harness.update_extension("far", last_success_at=9)
    job = harness.submit()
    harness.assign()
    assert (harness.reload(job).holder, harness.reload(job).attempt) == ("near", 2)


def test_an_unreachable_hub_is_not_tried_for_every_waiting_request(harness: Harness) -> None:
    harness.bench.bus.unreachable_hubs.add("hub-1")
    harness.connect()
    made = [harness.submit() for _ in range(10)]
    harness.assign()
    assert len(harness.bench.bus.to_hubs) == 1
    assert all(harness.reload(job).status is Status.ACCEPTED for job in made)
    harness.bench.bus.unreachable_hubs.clear()
    harness.update_extension(cooldown_until=0)
    assert harness.assign() == 1


def test_a_reconnected_extension_is_not_paused_because_of_its_old_socket(harness: Harness) -> None:
    harness.connect()
    job = harness.submit_and_assign()
    harness.connect(number=2, active=(job.id,))
    harness.services.dispatch.not_delivered(job.id, job.lease or "")
    assert harness.extension_row().cooldown_until == 0
    assert harness.reload(job).status is Status.PROCESSING


def test_an_offer_that_arrived_after_all_is_not_withdrawn(harness: Harness) -> None:
    harness.connect()
    job = harness.submit_and_start()
    harness.services.dispatch.not_delivered(job.id, job.lease or "")
    assert harness.reload(job) == job


def test_an_undelivered_offer_of_an_older_attempt_changes_nothing(harness: Harness) -> None:
    harness.connect()
    job = harness.submit_and_assign()
    harness.services.dispatch.not_delivered(job.id, "token-of-another-attempt")
    assert harness.reload(job) == job
