"""Offers that do not arrive."""

from __future__ import annotations

from app.domain.states import Status
from tests.support.crew import Crew


def test_an_unreachable_hub_causes_a_requeue_at_once_without_a_strike(crew: Crew) -> None:
    crew.bench.bus.deaf.add("hub-1")
    crew.join()
    job = crew.offered()
    assert (job.status, job.holder, job.lease, job.strikes) == (Status.ACCEPTED, None, None, 0)
    assert crew.extension().held == 0
    assert crew.extension().failures == 0
    assert crew.facts(job)[-1].data["reason"] == "The extension could not be reached."


def test_another_extension_gets_at_once_what_did_not_reach_the_first(crew: Crew) -> None:
    crew.bench.bus.deaf.add("hub-2")
    crew.join("near", hub="hub-1")
    crew.join("far", hub="hub-2")
    crew.set_extension("far", last_success_at=9)
    job = crew.order()
    crew.hand_out()
    assert (crew.now(job).holder, crew.now(job).attempt) == ("near", 2)


def test_an_unreachable_hub_is_not_tried_for_every_waiting_request(crew: Crew) -> None:
    crew.bench.bus.deaf.add("hub-1")
    crew.join()
    made = [crew.order() for _ in range(10)]
    crew.hand_out()
    assert len(crew.bench.bus.to_hubs) == 1
    assert all(crew.now(job).status is Status.ACCEPTED for job in made)
    crew.bench.bus.deaf.clear()
    crew.set_extension(cooldown_until=0)
    assert crew.hand_out() == 1


def test_an_extension_that_came_back_is_not_made_to_rest_for_its_old_socket(crew: Crew) -> None:
    crew.join()
    job = crew.offered()
    crew.join(again=2, active=(job.id,))
    crew.services.dispatch.not_delivered(job.id, job.lease or "")
    assert crew.extension().cooldown_until == 0
    assert crew.now(job).status is Status.PROCESSING


def test_an_offer_that_arrived_after_all_is_not_taken_back(crew: Crew) -> None:
    crew.join()
    job = crew.taken()
    crew.services.dispatch.not_delivered(job.id, job.lease or "")
    assert crew.now(job) == job


def test_an_offer_of_an_older_attempt_takes_nothing_back(crew: Crew) -> None:
    crew.join()
    job = crew.offered()
    crew.services.dispatch.not_delivered(job.id, "token-of-another-attempt")
    assert crew.now(job) == job
