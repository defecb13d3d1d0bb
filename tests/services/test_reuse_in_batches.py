"""Items of batches that get the pictures of identical requests, on both databases."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import pytest

from app.db.batches import Batch
from app.db.engine import Transaction
from app.db.jobs import Job
from app.domain.batches import BatchDefaults, BatchItem, LeftOut, NewBatch
from app.domain.errors import InvalidBatch
from app.domain.image_request import CacheMode, ImageRequest
from app.domain.messages import ImageGenerated
from app.domain.states import Status
from app.services import item_release
from app.services.generation import Holder
from tests.support import batches
from tests.support.downloads import PNG, URL, stored
from tests.support.harness import Harness
from tests.support.interleaving import on_postgresql

PREFER, ONLY, OFF = CacheMode.PREFER, CacheMode.ONLY, CacheMode.OFF


@pytest.fixture(autouse=True)
def picture(harness: Harness) -> None:
    """A picture that can be fetched."""
    harness.bench.fetch.answers[URL] = PNG


def create(
    harness: Harness, prompts: Sequence[str], cache: CacheMode = PREFER, concurrency: int = 2, *, partial: bool = False
) -> Batch:
    items = [BatchItem(prompt, f"p{n}", line=n) for n, prompt in enumerate(prompts, 1)]
    new = NewBatch("ann", items, BatchDefaults(cache=cache), "chapter 1", concurrency)
    return harness.services.batch_creation.create(new, "correlation-1", left_out=LeftOut() if partial else None).batch


def single(harness: Harness, prompt: str, **more: Any) -> Job:
    return harness.services.submission.submit(ImageRequest(prompt, user_id="ann", **more), "correlation-2").job


def make(harness: Harness, holder: Holder, job: Job) -> None:
    harness.services.generation.report(holder, ImageGenerated(request_id=job.id, image_urls=(URL,)))
    harness.run_downloads()
    assert harness.reload(job).status is Status.COMPLETED


def make_all(harness: Harness) -> int:
    """Have an extension make everything that waits; returns how much that was."""
    holder, made = harness.connect(max_concurrent=64), 0
    while harness.assign():
        for details in harness.services.lookup.page(None, Status.PROCESSING, None, 100).jobs:
            make(harness, holder, details.job)
            made += 1
        harness.services.reuse.resolve_all()
    return made


def test_items_get_the_pictures_of_completed_requests_whatever_the_concurrency(harness: Harness) -> None:
    prompts = [f"panel {n}" for n in range(5)]
    first = create(harness, prompts, OFF)
    assert make_all(harness) == 5
    second = create(harness, prompts, concurrency=1)
    assert all(job.cached_from for job in batches.requests(harness, second))
    assert harness.assign() == 0
    harness.services.reuse.resolve_all()
    assert batches.reload(harness, second).status == "completed"
    sources = [job.id for job in batches.requests(harness, first)]
    assert [job.cached_from for job in batches.requests(harness, second)] == sources
    assert all(stored(harness.bench, job) for job in batches.requests(harness, second))


def test_items_of_a_second_batch_are_made_once_with_those_of_a_first_that_still_runs(harness: Harness) -> None:
    prompts = [f"panel {n}" for n in range(6)]
    first, second = create(harness, prompts), create(harness, prompts)
    followers = [job.follows for job in batches.requests(harness, second)]
    assert followers[:2] == [job.id for job in batches.requests(harness, first)[:2]]
    assert batches.released(harness, second) == [3, 4], "those that follow are outside the window"
    assert make_all(harness) == 6
    harness.sweep()
    harness.services.reuse.resolve_all()
    for batch in (first, second):
        assert batches.reload(harness, batch).status == "completed"
        assert batches.counts(harness, batch) == {"completed": 6}


def test_identical_items_of_one_batch_are_made_once(harness: Harness) -> None:
    batch = create(harness, ["a fox"] * 8, concurrency=3)
    assert batches.released(harness, batch) == [1]
    assert make_all(harness) == 1
    assert batches.counts(harness, batch) == {"completed": 8}


def test_without_cache_every_item_is_made(harness: Harness) -> None:
    single(harness, "a fox")
    create(harness, ["a fox"] * 3, OFF)
    assert make_all(harness) == 4


@pytest.mark.parametrize("end", ["fails", "is cancelled"])
def test_when_a_leader_ends_without_a_picture_its_items_stay_within_their_window(harness: Harness, end: str) -> None:
    leader = single(harness, "a fox")
    batch = create(harness, ["a fox", "a fox", "a hen", "an owl"], concurrency=1)
    assert batches.released(harness, batch) == [3]
    if end == "fails":
        harness.update_job(leader, deadline_at=1)
        harness.sweep()
    else:
        harness.services.cancellation.cancel(leader.id)
    harness.services.reuse.resolve_all()
    assert batches.released(harness, batch) == [3], "one at a time"
    assert {job.follows for job in batches.requests(harness, batch)} == {None}
    assert make_all(harness) == 3
    assert batches.counts(harness, batch) == {"completed": 4}


def test_a_follower_of_a_paused_batch_is_not_released_when_its_leader_ends(harness: Harness) -> None:
    leader = single(harness, "a fox")
    batch = create(harness, ["a fox"])
    harness.services.batch_control.pause(batch.id)
    harness.services.cancellation.cancel(leader.id)
    harness.services.reuse.resolve_all()
    harness.sweep()
    assert batches.released(harness, batch) == []
    harness.services.batch_control.resume(batch.id)
    assert batches.released(harness, batch) == [1]


@pytest.mark.parametrize("waiting_only", [True, False])
def test_cancelling_a_batch_cancels_items_that_follow(harness: Harness, waiting_only: bool) -> None:
    leader = single(harness, "a fox")
    batch = create(harness, ["a fox", "a hen", "a hen"])
    harness.services.batch_control.cancel(batch.id, waiting_only=waiting_only)
    assert batches.counts(harness, batch) == {"cancelled": 3}
    assert harness.reload(leader).status is Status.ACCEPTED


def test_items_that_follow_are_nothing_that_a_sweep_has_to_release(harness: Harness) -> None:
    single(harness, "a fox")
    batch = create(harness, ["a fox"] * 3)
    harness.sweep()
    assert batches.reload(harness, batch).version == batch.version


def test_only_refuses_items_that_are_not_cached(harness: Harness) -> None:
    create(harness, ["a fox"], OFF)
    make_all(harness)
    with pytest.raises(InvalidBatch) as caught:
        create(harness, ["a fox", "a hen"], ONLY)
    [error] = caught.value.errors
    assert (error.line, error.custom_id, error.field) == (2, "p2", "cache")
    batch = create(harness, ["a fox", "a hen"], ONLY, partial=True)
    harness.services.reuse.resolve_all()
    assert batches.counts(harness, batch) == {"completed": 1}
    assert harness.assign() == 0


def test_an_item_that_wants_nothing_else_fails_if_its_source_is_deleted(harness: Harness) -> None:
    first = create(harness, ["a fox"], OFF)
    make_all(harness)
    [image] = stored(harness.bench, batches.requests(harness, first)[0])
    harness.bench.store.delete(image.file)
    second = create(harness, ["a fox"], ONLY)
    harness.services.reuse.resolve_all()
    assert batches.reload(harness, second).failures == {"ERR_NOT_CACHED": 1}


def test_an_item_whose_source_is_deleted_is_made_itself(harness: Harness) -> None:
    first = create(harness, ["a fox"], OFF)
    make_all(harness)
    [image] = stored(harness.bench, batches.requests(harness, first)[0])
    harness.bench.store.delete(image.file)
    second = create(harness, ["a fox"])
    harness.services.reuse.resolve_all()
    harness.services.housekeeping.sweep()
    assert make_all(harness) == 1
    assert batches.counts(harness, second) == {"completed": 1}


def test_an_item_that_is_tried_again_is_made_anew(harness: Harness) -> None:
    batch = create(harness, ["a fox"])
    make_all(harness)
    harness.services.batch_retrying.retry(batch.id, Status.COMPLETED)
    assert batches.released(harness, batch) == [1]
    assert make_all(harness) == 1


def test_the_defaults_of_a_batch_are_kept_for_items_that_are_added(harness: Harness) -> None:
    single(harness, "a hen")
    batch = create(harness, ["a fox"])
    assert batch.defaults == {"cache": "prefer"}
    harness.services.batch_creation.add(batch.id, [BatchItem("a hen", line=1)])
    assert batches.requests(harness, batch)[1].follows is not None


def test_a_transaction_compares_few_items_and_the_sweep_goes_on(
    harness: Harness, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(item_release, "MOST_COMPARED", 2)
    leader = single(harness, "a fox")
    batch = create(harness, ["a fox"] * 5 + ["a hen"], concurrency=1)

    def following() -> int:
        return sum(job.follows == leader.id for job in batches.requests(harness, batch))

    assert following() == 2
    for expected in (4, 5):
        harness.sweep()
        assert following() == expected
    assert batches.released(harness, batch) == [6]


@on_postgresql
def test_an_item_whose_source_another_process_changes_at_this_moment_is_decided_later(harness: Harness) -> None:
    leader = single(harness, "a fox")

    def locked(tx: Transaction) -> Batch:
        tx.connection.exec_driver_sql("SELECT id FROM jobs FOR UPDATE")
        return create(harness, ["a fox", "a hen"])

    batch = harness.bench.database.write(locked)
    assert batches.released(harness, batch) == [2], "it does not wait for the lock"
    harness.sweep()
    assert batches.requests(harness, batch)[0].follows == leader.id


@on_postgresql
def test_an_item_is_decided_later_if_an_identical_request_is_submitted_at_this_moment(harness: Harness) -> None:
    fingerprint = single(harness, "a fox").fingerprint

    def held(tx: Transaction) -> Batch:
        tx.lock("fingerprint", f"ann {fingerprint}")
        return create(harness, ["a fox", "a hen"])

    assert batches.released(harness, harness.bench.database.write(held)) == [2]
