"""Clients call their requests off."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor

import pytest

from app.domain.errors import AlreadyFinished, NotFound
from app.domain.states import Status
from tests.support.crew import PICTURE, Crew
from tests.support.downloads import PNG


def test_a_request_that_waits_is_cancelled(crew: Crew) -> None:
    job = crew.order()
    done = crew.services.cancellation.cancel(job.id)
    assert done == crew.now(job)
    assert done.status is Status.CANCELLED
    assert done.finished_at is not None
    assert crew.types(job)[-1] == "ImageGenerationCancelledEvent"
    assert crew.facts(job)[-1].data == {}
    assert crew.bench.bus.to_hubs == []


def test_the_holder_receives_a_cancellation_and_its_slot_is_free(crew: Crew) -> None:
    holder, job = crew.at_work()
    crew.services.cancellation.cancel(job.id)
    hub, word = crew.bench.bus.to_hubs[-1]
    assert (hub, word["do"], word["connection"]) == ("hub-1", "send", holder.connection_id)
    assert (word["message"]["type"], word["message"]["requestId"]) == ("cancel_generation", job.id)
    assert word["message"]["correlationId"] == "correlation-1"
    assert crew.extension().held == 0
    assert crew.facts(job)[-1].data == {"extension_id": "e1"}


def test_a_request_whose_pictures_come_is_cancelled_and_its_extension_left_alone(crew: Crew) -> None:
    holder, job = crew.at_work()
    crew.deliver(holder, job)
    crew.services.cancellation.cancel(job.id)
    assert crew.now(job).status is Status.CANCELLED
    assert crew.bench.bus.sent("cancel_generation") == []


def test_cancelling_twice_is_no_mistake(crew: Crew) -> None:
    job = crew.order()
    once = crew.services.cancellation.cancel(job.id)
    assert crew.services.cancellation.cancel(job.id) == once
    assert crew.types(job).count("ImageGenerationCancelledEvent") == 1


@pytest.mark.parametrize("end", ["completed", "failed"])
def test_a_finished_request_is_not_changed_by_a_cancellation(crew: Crew, end: str) -> None:
    holder, job = crew.at_work()
    if end == "failed":
        crew.give_up(holder, job, "NSFW")
    else:
        crew.deliver(holder, job)
        crew.bench.fetch.answers[PICTURE] = PNG
        crew.services.download.run()
    before = crew.now(job)
    with pytest.raises(AlreadyFinished, match=f"already {end}"):
        crew.services.cancellation.cancel(job.id)
    assert crew.now(job) == before


def test_what_does_not_exist_cannot_be_cancelled(crew: Crew) -> None:
    with pytest.raises(NotFound):
        crew.services.cancellation.cancel("550e8400-e29b-41d4-a716-446655440000")


def test_a_request_cancelled_while_it_is_handed_out_leaves_no_slot_taken(crew: Crew) -> None:
    crew.join(max_concurrent=6)
    for _ in range(4):
        made = [crew.order() for _ in range(6)]
        with ThreadPoolExecutor(8) as pool:
            calls = [pool.submit(crew.hand_out) for _ in range(2)]
            calls += [pool.submit(crew.services.cancellation.cancel, job.id) for job in made]  # type: ignore[arg-type]
            for call in calls:
                call.result()
        assert {crew.now(job).status for job in made} == {Status.CANCELLED}
        assert crew.extension().held == 0
