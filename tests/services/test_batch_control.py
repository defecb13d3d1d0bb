"""Pausing, resuming, changing, cancelling and retrying batches."""

from __future__ import annotations

import pytest

from app.db.batches import Batch
from app.domain.batches import BatchItem, ItemEdit
from app.domain.errors import AlreadyFinished, InvalidBatch
from app.domain.fair_queueing import Priority
from app.domain.pauses import PauseKind, PauseTarget
from app.domain.states import Status
from app.domain.styles import Style
from app.services import batch_control
from tests.support.batches import counts, create, event_types, released, reload, requests
from tests.support.harness import HOUR, Harness


def test_a_paused_batch_hands_nothing_out_and_what_was_begun_goes_on(harness: Harness) -> None:
    batch = create(harness, 4, concurrency=2)
    harness.connect()
    assert harness.assign() == 1
    paused = harness.services.batch_control.pause(batch.id, "ann", "olga")
    assert (paused.status, paused.paused_by) == ("paused", "olga")
    assert released(harness, batch) == [1]
    first = requests(harness, batch)[0]
    harness.services.cancellation.cancel(first.id)
    assert released(harness, batch) == []
    assert harness.assign() == 0
    assert reload(harness, batch).status == "paused"


def test_a_request_that_returns_to_a_paused_batch_is_held(harness: Harness) -> None:
    batch = create(harness, 2, concurrency=2)
    holder = harness.connect()
    harness.assign()
    harness.services.batch_control.pause(batch.id)
    first = requests(harness, batch)[0]
    harness.report_failure(holder, first)
    assert harness.event_types(first)[-1] == "ImageGenerationRequeuedEvent"
    assert harness.reload(first).held_since is not None
    harness.services.batch_control.resume(batch.id)
    assert released(harness, batch) == [1, 2]


def test_a_request_that_returns_to_a_running_batch_keeps_its_place(harness: Harness) -> None:
    batch = create(harness, 3, concurrency=1)
    holder = harness.connect()
    harness.assign()
    harness.report_failure(holder, requests(harness, batch)[0])
    assert released(harness, batch) == [1]


def test_the_time_of_a_pause_does_not_count_as_waiting(harness: Harness) -> None:
    batch = create(harness, 1, deadline_ms=HOUR)
    item = requests(harness, batch)[0]
    harness.services.batch_control.pause(batch.id)
    assert harness.reload(item).deadline_at is None
    harness.update_job(item, queued_at=harness.now() - 30 * HOUR, held_since=harness.now() - 30 * HOUR)
    harness.sweep()
    assert harness.reload(item).status == "accepted"
    harness.services.batch_control.resume(batch.id)
    assert harness.reload(item).queued_at > harness.now() - HOUR
    assert abs((harness.reload(item).deadline_at or 0) - harness.now() - HOUR) < 60_000


def test_pausing_and_resuming_twice_changes_nothing(harness: Harness) -> None:
    batch = create(harness)
    control = harness.services.batch_control
    assert control.pause(batch.id).version == control.pause(batch.id).version
    assert control.resume(batch.id).version == control.resume(batch.id).version
    assert event_types(harness, batch) == ["BatchCreatedEvent", "BatchPausedEvent", "BatchResumedEvent"]


def test_a_higher_concurrency_releases_items_and_a_lower_one_holds_waiting_ones(harness: Harness) -> None:
    batch = create(harness, 6, concurrency=2)
    harness.services.batch_control.change(batch.id, concurrency=5)
    assert released(harness, batch) == [1, 2, 3, 4, 5]
    harness.connect(max_concurrent=2)
    harness.assign()
    harness.services.batch_control.change(batch.id, concurrency=3)
    assert len(released(harness, batch)) == 3
    harness.services.batch_control.change(batch.id, concurrency=1)
    assert released(harness, batch) == [1, 2], "what was begun goes on"


def test_a_new_priority_is_for_all_items_that_were_not_begun(harness: Harness) -> None:
    batch = create(harness, 4, concurrency=2)
    harness.connect()
    harness.assign()
    harness.services.batch_control.change(batch.id, priority=Priority.LOW)
    assert [job.priority for job in requests(harness, batch)] == [1, 2, 2, 2]
    assert released(harness, batch) == [1, 2]
    added = harness.services.batch_creation.add(batch.id, [BatchItem("more")]).batch
    assert requests(harness, added)[-1].priority == Priority.LOW


def test_a_cancelled_batch_cancels_everything_and_tells_the_extensions(
    harness: Harness, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(batch_control, "AT_ONCE", 2)
    batch = create(harness, 7, concurrency=3)
    harness.connect()
    harness.assign()
    done = harness.services.batch_control.cancel(batch.id)
    assert (done.status, done.cancelled) == ("cancelled", 7)
    assert done.finished_at is not None
    assert {harness.event_types(job)[-1] for job in requests(harness, batch)} == {"ImageGenerationCancelledEvent"}
    assert len(harness.bench.bus.sent("cancel_generation")) == 1
    assert event_types(harness, batch).count("BatchItemEndedEvent") == 7
    assert event_types(harness, batch)[-1] == "BatchFinishedEvent"
    assert harness.services.batch_control.cancel(batch.id) == done


def test_what_waits_is_cancelled_and_the_rest_completes_the_batch(harness: Harness) -> None:
    batch = create(harness, 4, concurrency=2)
    holder = harness.connect()
    harness.assign()
    left = harness.services.batch_control.cancel(batch.id, waiting_only=True)
    assert (left.status, left.cancelled) == ("running", 3)
    harness.report_failure(holder, requests(harness, batch)[0], code="ERR_CONTENT_POLICY", retryable=False)
    assert reload(harness, batch).finished_at is not None
    assert counts(harness, batch) == {"cancelled": 3, "failed": 1}


def test_a_cancellation_that_was_interrupted_is_completed_by_the_sweep(
    harness: Harness, monkeypatch: pytest.MonkeyPatch
) -> None:
    batch = create(harness, 4, concurrency=2)
    with monkeypatch.context() as interrupted:
        interrupted.setattr(harness.services.batch_control, "cancel_items", lambda *_, **__: None)
        assert harness.services.batch_control.cancel(batch.id).finished_at is None
    harness.sweep()
    assert (reload(harness, batch).status, reload(harness, batch).cancelled) == ("cancelled", 4)


@pytest.mark.parametrize("act", ["pause", "resume", "cancel"])
def test_a_completed_batch_cannot_be_changed(harness: Harness, act: str) -> None:
    batch = create(harness, 1)
    harness.services.cancellation.cancel(requests(harness, batch)[0].id)
    with pytest.raises(AlreadyFinished):
        getattr(harness.services.batch_control, act)(batch.id)
    harness.services.batch_control.change(batch.id, name="renamed")
    assert reload(harness, batch).name == "renamed"


def failed_batch(harness: Harness, count: int = 3) -> Batch:
    batch = create(harness, count, concurrency=count)
    holder = harness.connect(max_concurrent=count)
    harness.assign()
    for item in requests(harness, batch):
        harness.report_failure(holder, item, code="ERR_CONTENT_POLICY", retryable=False)
    return batch


def test_failed_items_are_tried_again_in_the_same_place(harness: Harness) -> None:
    batch = failed_batch(harness)
    before = requests(harness, batch)
    again = harness.services.batch_retrying.retry(batch.id, Status.FAILED)
    assert (again.status, again.failed, again.failures, again.finished_at) == ("running", 0, {}, None)
    after = requests(harness, batch)
    assert [job.retry_of for job in after] == [job.id for job in before]
    assert [(job.batch_index, job.custom_id, job.prompt) for job in after] == [
        (job.batch_index, job.custom_id, job.prompt) for job in before
    ]
    assert [harness.reload(job).replaced_by for job in before] == [job.id for job in after]
    assert released(harness, batch) == [1, 2, 3]
    assert counts(harness, batch) == {"accepted": 3}


def test_an_edited_prompt_is_made_by_the_style_again(harness: Harness) -> None:
    harness.services.styles.create("ann", Style("ink", "{prompt}, ink", {}, parameters={"width": 64}))
    batch = create(harness, 2, style="ink")
    harness.services.batch_control.cancel(batch.id, waiting_only=True)
    edits = [ItemEdit(custom_id="p2", prompt="a fox", parameters={"seed": 7}), ItemEdit(index=1)]
    harness.services.batch_retrying.retry(batch.id, None, edits)
    first, second = requests(harness, batch)
    assert (first.prompt, first.original_prompt) == ("panel 1, ink", "panel 1")
    assert (second.prompt, second.original_prompt) == ("a fox, ink", "a fox")
    assert second.parameters == {"width": 64, "seed": 7}


@pytest.mark.parametrize(
    ("edits", "reason"),
    [
        ([ItemEdit(index=9)], "no such item"),
        ([ItemEdit(index=2)], "accepted"),
        ([ItemEdit(index=1), ItemEdit(custom_id="p1")], "named twice"),
        ([ItemEdit()], "either index or customId"),
    ],
)
def test_items_that_cannot_be_tried_again_are_named(harness: Harness, edits: list[ItemEdit], reason: str) -> None:
    batch = create(harness, 2)
    harness.services.cancellation.cancel(requests(harness, batch)[0].id)
    before = reload(harness, batch)
    with pytest.raises(InvalidBatch, match=reason):
        harness.services.batch_retrying.retry(batch.id, None, edits)
    assert reload(harness, batch) == before


def test_a_cancelled_batch_runs_again_if_items_are_tried_again(harness: Harness) -> None:
    batch = create(harness, 2)
    harness.services.batch_control.cancel(batch.id)
    assert harness.services.batch_retrying.retry(batch.id, Status.CANCELLED).status == "running"
    assert released(harness, batch) == [1, 2]


def test_items_of_a_paused_user_are_not_released(harness: Harness) -> None:
    batch = create(harness, 3, concurrency=1)
    harness.services.queue_controls.pause(PauseTarget(PauseKind.USER, "ann"))
    assert released(harness, batch) == []
    harness.services.cancellation.cancel(requests(harness, batch)[0].id)
    harness.sweep()
    assert released(harness, batch) == []
    harness.services.queue_controls.resume(PauseTarget(PauseKind.USER, "ann"))
    harness.sweep()
    assert released(harness, batch) == [2]


def test_the_sweep_releases_what_is_missing_and_holds_what_a_pause_missed(harness: Harness) -> None:
    running, paused = create(harness, 3, concurrency=1), create(harness, 3, concurrency=1)
    harness.update_job(requests(harness, running)[0], held_since=1)
    harness.services.batch_control.pause(paused.id)
    harness.update_job(requests(harness, paused)[0], held_since=None)
    harness.sweep()
    assert released(harness, running) == [1]
    assert released(harness, paused) == []
    version = reload(harness, running).version
    harness.sweep()
    assert reload(harness, running).version == version
