"""Batches keep their promises while many threads end, cancel, pause and requeue their items at once."""

from __future__ import annotations

import random
import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from functools import partial
from typing import Any

from app.db.batches import Batch
from app.db.jobs import Job
from app.domain.batches import BatchItem, BatchStatus
from app.domain.errors import AlreadyFinished, LeaseLost
from app.domain.states import FINAL, Status
from tests.support.batches import create, reload, requests
from tests.support.harness import Harness

THREADS = 4
ITEMS = 40


def run_at_once(*works: Callable[[], object]) -> None:
    """Run these in threads that begin together; what one raises is raised here."""
    begin = threading.Barrier(len(works))

    def run(work: Callable[[], object]) -> None:
        begin.wait()
        work()

    with ThreadPoolExecutor(len(works)) as pool:
        for done in [pool.submit(run, work) for work in works]:
            done.result()


def check(harness: Harness, batch: Batch) -> Batch:
    """Assert what holds for every batch when nothing moves: no item is lost, the counts are right, and the window is full."""
    row, items = reload(harness, batch), requests(harness, batch)
    assert [job.batch_index for job in items] == list(range(1, row.total + 1))
    ended = {status: sum(job.status is status for job in items) for status in FINAL}
    assert ended == {Status.COMPLETED: row.completed, Status.FAILED: row.failed, Status.CANCELLED: row.cancelled}
    open_ones = [job for job in items if job.status not in FINAL]
    released = [job for job in open_ones if job.held_since is None]
    if row.status is BatchStatus.RUNNING:
        assert len(released) == min(row.concurrency, len(open_ones))
    else:
        assert all(job.status is not Status.ACCEPTED for job in released)
    assert (row.finished_at is None) == bool(open_ones)
    events = harness.services.batch_lookup.events_after(batch.id, 0).events
    assert [event.seq for event in events] == list(range(1, row.last_event + 1))
    return row


def end(harness: Harness, items: list[Job]) -> None:
    for item in items:
        harness.services.cancellation.cancel(item.id)


def test_items_that_end_at_once_are_counted_once_each_and_make_room(harness: Harness) -> None:
    batch = create(harness, ITEMS, concurrency=6)
    items = requests(harness, batch)[: ITEMS // 2]
    run_at_once(*(partial(end, harness, items[n::THREADS]) for n in range(THREADS)))
    assert check(harness, batch).cancelled == ITEMS // 2
    rest = requests(harness, batch)[ITEMS // 2 :]
    run_at_once(*(partial(end, harness, rest[n::THREADS]) for n in range(THREADS)))
    assert check(harness, batch).status is BatchStatus.COMPLETED


def test_items_are_handed_out_fail_and_return_while_the_batch_is_paused_and_changed(harness: Harness) -> None:
    batch = create(harness, ITEMS, concurrency=5)
    holder = harness.connect(max_concurrent=3)

    def work(seed: int) -> None:
        chance = random.Random(seed)
        for _ in range(15):
            harness.assign()
            for item in requests(harness, batch, Status.PROCESSING):
                report(harness, item, retryable=chance.random() < 0.5)

    def report(harness: Harness, item: Job, *, retryable: bool) -> None:
        more: dict[str, Any] = {} if retryable else {"code": "ERR_CONTENT_POLICY", "retryable": False}
        with suppress(LeaseLost):  # another thread has reported
            harness.report_failure(holder, item, lease=item.lease, **more)

    def control() -> None:
        chance = random.Random(7)
        for _ in range(12):
            harness.services.batch_control.pause(batch.id)
            harness.services.batch_control.change(batch.id, concurrency=chance.randint(1, 8))
            harness.services.batch_control.resume(batch.id)

    run_at_once(partial(work, 1), partial(work, 2), guarded(control), guarded(control))
    harness.sweep()
    check(harness, batch)


def guarded(work: Callable[[], object]) -> Callable[[], object]:
    """The work, which may find its batch completed."""

    def run() -> None:
        with suppress(AlreadyFinished):
            work()

    return run


def test_a_batch_is_cancelled_while_its_items_end_and_are_handed_out(harness: Harness) -> None:
    batch = create(harness, ITEMS, concurrency=6)
    harness.connect(max_concurrent=4)
    items = requests(harness, batch)

    def end_some(some: list[Job]) -> None:
        for item in some:
            guarded(partial(harness.services.cancellation.cancel, item.id))()

    run_at_once(
        partial(harness.services.batch_control.cancel, batch.id),
        partial(harness.services.batch_control.cancel, batch.id),
        partial(end_some, items[::3]),
        harness.assign,
    )
    harness.sweep()
    harness.sweep()
    assert check(harness, batch).status is BatchStatus.CANCELLED
    assert check(harness, batch).cancelled == ITEMS


def test_items_are_retried_and_added_while_others_end(harness: Harness) -> None:
    batch = create(harness, ITEMS, concurrency=6)
    items = requests(harness, batch)
    end(harness, items[:10])
    more = create_more(harness, batch)

    def retry() -> None:
        for _ in range(3):
            harness.services.batch_retrying.retry(batch.id, Status.CANCELLED)

    run_at_once(retry, retry, more, partial(end, harness, items[10:]))
    row = check(harness, batch)
    assert row.total == ITEMS + 5
    current = requests(harness, batch)
    assert len({job.retry_of for job in current if job.retry_of}) == sum(job.retry_of is not None for job in current)
    assert all(harness.reload(item).replaced_by for item in items[:10])


def create_more(harness: Harness, batch: Batch) -> Callable[[], None]:
    def add() -> None:
        for n in range(5):
            harness.services.batch_creation.add(batch.id, [BatchItem(f"more {n}", f"m{n}")])

    return add
