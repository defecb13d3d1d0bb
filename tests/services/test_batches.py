"""Batches: their creation, how many of their items are in the queue, their counts and their end."""

from __future__ import annotations

from dataclasses import replace

import pytest

from app.db import batches as rows
from app.db.batches import Batch
from app.domain.batches import BatchDefaults, BatchItem, ItemError, LeftOut, NewBatch
from app.domain.errors import Forbidden, InvalidBatch, NotFound, QuotaExceeded, UnknownStyle
from app.domain.fair_queueing import UNIT, Priority
from app.domain.styles import Style
from app.domain.tiers import Tiers
from tests.support import batches
from tests.support.batches import counts, create, event_types, released, reload, requests
from tests.support.harness import HOUR, Harness


def end_first(harness: Harness, batch: Batch) -> None:
    """Cancel the first item that is released."""
    first = released(harness, batch)[0]
    harness.services.cancellation.cancel(requests(harness, batch)[first - 1].id)


def test_the_items_are_ordinary_requests_in_their_order(harness: Harness) -> None:
    before = harness.submit()
    batch = create(harness, 5)
    found = requests(harness, batch)
    assert [job.prompt for job in found] == [f"panel {n}" for n in range(1, 6)]
    assert [job.batch_index for job in found] == [1, 2, 3, 4, 5]
    assert [job.custom_id for job in found] == ["p1", "p2", "p3", "p4", "p5"]
    assert [job.number for job in found] == [before.number + n for n in range(1, 6)]
    assert [job.id for job in found] == sorted(job.id for job in found)
    assert {harness.event_types(job)[0] for job in found} == {"ImageGenerationRequestedEvent"}
    assert harness.events(found[0])[0].data == {"model": "dall-e-3", "user_id": "ann"}


def test_only_as_many_items_as_the_concurrency_are_in_the_queue(harness: Harness) -> None:
    batch = create(harness, 5, concurrency=2)
    assert released(harness, batch) == [1, 2]
    harness.connect(max_concurrent=9)
    assert harness.assign() == 2
    assert counts(harness, batch) == {"accepted": 3, "processing": 2}


def test_every_item_that_ends_makes_room_for_the_next(harness: Harness) -> None:
    batch = create(harness, 5, concurrency=2)
    end_first(harness, batch)
    assert released(harness, batch) == [2, 3]
    holder = harness.connect(max_concurrent=9)
    harness.assign()
    second = requests(harness, batch)[1]
    harness.report_failure(holder, second, code="ERR_CONTENT_POLICY", retryable=False)
    assert released(harness, batch) == [3, 4]
    assert counts(harness, batch) == {"accepted": 2, "processing": 1, "failed": 1, "cancelled": 1}


def test_items_of_a_better_class_are_released_first(harness: Harness) -> None:
    items = [*batches.items(2), BatchItem("cover", "cover", priority=Priority.HIGH, line=3)]
    batch = harness.services.batch_creation.create(NewBatch("ann", items, concurrency=1), "c").batch
    assert released(harness, batch) == [3]


def test_released_items_queue_one_after_the_other(harness: Harness) -> None:
    batch = create(harness, 3, concurrency=3)
    assert [job.virtual_start for job in requests(harness, batch)] == [0, UNIT, 2 * UNIT]


def test_the_defaults_are_for_items_that_say_nothing_else(harness: Harness) -> None:
    harness.services.styles.create(
        "ann", Style("ink", "{prompt}, {tone} ink", {"tone": None}, parameters={"width": 64})
    )
    items = [
        BatchItem("a fox", line=1),
        BatchItem(
            "an owl", model="flux-2", parameters={"width": 32}, variables={"tone": "red"}, priority=Priority.LOW, line=2
        ),
    ]
    defaults = BatchDefaults("flux-1", {"quality": "hd"}, "ink", {"tone": "black"}, Priority.HIGH, HOUR)
    batch = harness.services.batch_creation.create(NewBatch("ann", items, defaults), "c").batch
    fox, owl = requests(harness, batch)
    assert (fox.prompt, fox.original_prompt, fox.model, fox.priority) == ("a fox, black ink", "a fox", "flux-1", 0)
    assert fox.parameters == {"width": 64, "quality": "hd"}
    assert (owl.prompt, owl.model, owl.priority) == ("an owl, red ink", "flux-2", Priority.LOW)
    assert owl.parameters == {"width": 32, "quality": "hd"}
    assert BatchDefaults.restored(reload(harness, batch).defaults) == defaults


def test_a_deadline_runs_from_the_release_of_an_item(harness: Harness) -> None:
    batch = create(harness, 2, concurrency=1, deadline_ms=HOUR)
    first, second = requests(harness, batch)
    assert abs((first.deadline_at or 0) - harness.now() - HOUR) < 60_000
    assert second.deadline_at is None


def test_a_batch_is_completed_when_every_item_has_ended(harness: Harness) -> None:
    batch = create(harness, 2, concurrency=1)
    end_first(harness, batch)
    assert reload(harness, batch).finished_at is None
    end_first(harness, batch)
    done = reload(harness, batch)
    assert (done.status, done.total, done.cancelled) == ("completed", 2, 2)
    assert done.finished_at is not None
    assert event_types(harness, batch) == [
        "BatchCreatedEvent",
        "BatchItemEndedEvent",
        "BatchItemEndedEvent",
        "BatchFinishedEvent",
    ]
    [_, first, _, last] = harness.services.batch_lookup.events_after(batch.id, 0).events
    item = requests(harness, batch)[0]
    assert first.data == {"index": 1, "custom_id": "p1", "request_id": item.id, "status": "cancelled"}
    assert last.data == {"status": "completed", "counts": {"completed": 0, "failed": 0, "cancelled": 2}}


def test_a_failure_is_counted_by_its_code(harness: Harness) -> None:
    batch = create(harness, 2, concurrency=2)
    holder = harness.connect(max_concurrent=2)
    harness.assign()
    for item in requests(harness, batch):
        harness.report_failure(holder, item, code="ERR_CONTENT_POLICY", retryable=False)
    assert sum(reload(harness, batch).failures.values()) == 2
    assert reload(harness, batch).failed == 2
    assert reload(harness, batch).started_at is not None


def test_each_change_is_published_to_watchers(harness: Harness) -> None:
    batch = create(harness, 1)
    end_first(harness, batch)
    published = [change for change in harness.bench.bus.changes if change.get("batchId") == batch.id]
    assert [change["version"] for change in published] == [1, 2]
    assert published[-1] == {"batchId": batch.id, "status": "completed", "version": 2, "lastEvent": 3}


@pytest.mark.parametrize(
    ("items", "named"),
    [
        ([], "items is empty"),
        (batches.items(11), "BATCH_MAX_ITEMS"),
        ([*batches.items(2), BatchItem("again", "p1", line=3)], "p1"),
        ([BatchItem("a fox", variables={"tone": "red"}, line=1)], "variables"),
    ],
)
def test_a_batch_that_cannot_be_made_is_refused_as_a_whole(
    harness: Harness, items: list[BatchItem], named: str
) -> None:
    harness = harness.with_settings(batch_max_items=10)
    with pytest.raises(InvalidBatch, match=named):
        harness.services.batch_creation.create(NewBatch("ann", items), "c")
    assert harness.bench.database.read(lambda c: rows.page(c, None, None, 9)) == []


def test_all_items_that_are_wrong_are_named_together(harness: Harness) -> None:
    harness.services.styles.create("ann", Style("ink", "{prompt}, {tone}", {"tone": None}))
    items = [BatchItem("a", "x", line=4), BatchItem("b", variables={"tone": "red"}, line=5), BatchItem("c", line=6)]
    new = NewBatch("ann", items, BatchDefaults(style="ink"))
    with pytest.raises(InvalidBatch, match="2 of 3") as refused:
        harness.services.batch_creation.create(new, "c")
    assert [(error.line, error.custom_id, error.field) for error in refused.value.errors] == [
        (4, "x", "variables"),
        (6, None, "variables"),
    ]
    accepted = harness.services.batch_creation.create(new, "c", left_out=LeftOut(1, [ItemError(5, None, None, "")]))
    assert accepted.batch.total == 1
    assert accepted.left_out.count == 3
    assert [error.line for error in accepted.left_out.errors] == [4, 5, 6]


def test_an_unknown_style_is_refused(harness: Harness) -> None:
    with pytest.raises(UnknownStyle):
        create(harness, style="nothing")


def test_a_class_above_the_users_tier_is_refused(harness: Harness) -> None:
    harness = harness.with_settings(auth_required=True, tiers=Tiers.parse("free:1:low:normal"))
    with pytest.raises(Forbidden, match="free"):
        harness.services.batch_creation.create(NewBatch("ann", batches.items(1, priority=Priority.HIGH)), "c")
    with pytest.raises(Forbidden, match="free"):
        create(harness, priority=Priority.HIGH)


def limited(harness: Harness, **limits: int) -> Harness:
    return harness.with_settings(limits=replace(harness.services.settings.limits, **limits))


def test_held_items_are_counted_by_a_quota_of_their_own(harness: Harness) -> None:
    harness = limited(harness, quota_batch_items=10, quota_waiting=3)
    create(harness, 8, concurrency=2)
    with pytest.raises(QuotaExceeded, match=r"6 items .* 3 more than the 10 allowed \(QUOTA_BATCH_ITEMS\)"):
        create(harness, 7)
    create(harness, 4, concurrency=1)
    with pytest.raises(QuotaExceeded, match="QUOTA_WAITING"):
        harness.submit()


def test_items_count_as_requests_of_the_day(harness: Harness) -> None:
    harness = limited(harness, quota_per_day=5)
    create(harness, 3)
    with pytest.raises(QuotaExceeded, match=r"1 more than the 5 allowed \(QUOTA_PER_DAY\)"):
        create(harness, 3)
    create(harness, 2)
    with pytest.raises(QuotaExceeded):
        harness.submit()


def test_items_are_added_behind_the_others_and_a_completed_batch_runs_again(harness: Harness) -> None:
    batch = create(harness, 1)
    end_first(harness, batch)
    added = harness.services.batch_creation.add(batch.id, [BatchItem("more", "p2", line=1)], "ann").batch
    assert (added.status, added.total, added.finished_at) == ("running", 2, None)
    assert released(harness, batch) == [2]
    with pytest.raises(InvalidBatch, match="p2"):
        harness.services.batch_creation.add(batch.id, [BatchItem("more", "p2", line=1)], "ann")


def test_batches_of_others_are_not_found(harness: Harness) -> None:
    batch, lookup, control = create(harness), harness.services.batch_lookup, harness.services.batch_control
    for act in (
        lambda: lookup.details(batch.id, "bob"),
        lambda: lookup.items(batch.id, None, 0, 9, "bob"),
        lambda: lookup.events_after(batch.id, 0, "bob"),
        lambda: lookup.await_news(batch.id, 1, None, "bob"),
        lambda: control.pause(batch.id, "bob"),
        lambda: control.resume(batch.id, "bob"),
        lambda: control.cancel(batch.id, "bob"),
        lambda: control.change(batch.id, "bob", name="x"),
        lambda: harness.services.batch_creation.add(batch.id, batches.items(1), "bob"),
        lambda: harness.services.batch_retrying.retry(batch.id, None, [], "bob"),
    ):
        with pytest.raises(NotFound):
            act()
    assert reload(harness, batch) == batch
    assert [each.batch.id for each in lookup.page("ann", None, 9).batches] == [batch.id]
    assert lookup.page("bob", None, 9).batches == []
