"""Clients cancel their requests."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor

import pytest

from app.domain.errors import AlreadyFinished, NotFound
from app.domain.states import Status
from tests.support.downloads import PNG
from tests.support.harness import PICTURE, Harness


def test_a_waiting_request_is_cancelled(harness: Harness) -> None:
    job = harness.submit()
    done = harness.services.cancellation.cancel(job.id)
    assert done == harness.reload(job)
    assert done.status is Status.CANCELLED
    assert done.finished_at is not None
    assert harness.event_types(job)[-1] == "ImageGenerationCancelledEvent"
    assert harness.events(job)[-1].data == {}
    assert harness.bench.bus.to_hubs == []


def test_the_holder_receives_a_cancellation_and_its_slot_is_free(harness: Harness) -> None:
    holder, job = harness.connect_and_start()
    harness.services.cancellation.cancel(job.id)
    hub, word = harness.bench.bus.to_hubs[-1]
    assert (hub, word["do"], word["connection"]) == ("hub-1", "send", holder.connection_id)
    assert (word["message"]["type"], word["message"]["requestId"]) == ("cancel_generation", job.id)
    assert word["message"]["correlationId"] == "correlation-1"
    assert harness.extension_row().held == 0
    assert harness.events(job)[-1].data == {"extension_id": "e1"}


def test_a_request_being_downloaded_is_cancelled_without_a_message_to_its_extension(harness: Harness) -> None:
    holder, job = harness.connect_and_start()
    harness.report_image(holder, job)
    harness.services.cancellation.cancel(job.id)
    assert harness.reload(job).status is Status.CANCELLED
    assert harness.bench.bus.sent("cancel_generation") == []


def test_cancelling_twice_is_no_error(harness: Harness) -> None:
    job = harness.submit()
    once = harness.services.cancellation.cancel(job.id)
    assert harness.services.cancellation.cancel(job.id) == once
    assert harness.event_types(job).count("ImageGenerationCancelledEvent") == 1


@pytest.mark.parametrize("end", ["completed", "failed"])
def test_a_finished_request_is_not_changed_by_a_cancellation(harness: Harness, end: str) -> None:
    holder, job = harness.connect_and_start()
    if end == "failed":
        harness.report_failure(holder, job, "NSFW")
    else:
        harness.report_image(holder, job)
        harness.bench.fetch.answers[PICTURE] = PNG
        harness.services.download.run()
    before = harness.reload(job)
    with pytest.raises(AlreadyFinished, match=f"already {end}"):
        harness.services.cancellation.cancel(job.id)
    assert harness.reload(job) == before


def test_an_unknown_request_cannot_be_cancelled(harness: Harness) -> None:
    with pytest.raises(NotFound):
        harness.services.cancellation.cancel("550e8400-e29b-41d4-a716-446655440000")


def test_a_request_cancelled_while_it_is_assigned_occupies_no_slot(harness: Harness) -> None:
    harness.connect(max_concurrent=6)
    for _ in range(4):
        made = [harness.submit() for _ in range(6)]
        with ThreadPoolExecutor(8) as pool:
            calls = [pool.submit(harness.assign) for _ in range(2)]
            calls += [pool.submit(harness.services.cancellation.cancel, job.id) for job in made]  # type: ignore[arg-type]
            for call in calls:
                call.result()
        assert {harness.reload(job).status for job in made} == {Status.CANCELLED}
        assert harness.extension_row().held == 0
