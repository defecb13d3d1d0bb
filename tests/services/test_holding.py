"""Requests that are held back, and their return to the queue."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from functools import partial

import pytest

from app.db import holding
from app.db.engine import Transaction
from app.db.jobs import Job
from app.domain.fair_queueing import UNIT, Priority
from app.services import holding as services
from tests.support.harness import HOUR, Harness

BATCH = "00000000-0000-7000-8000-0000000000b1"


def test_the_held_requests_of_a_user_are_not_assigned(harness: Harness) -> None:
    held, other = harness.submit("ann"), harness.submit("bob")
    harness.services.holding.hold_user("ann")
    harness.connect(max_concurrent=9)
    assert harness.assign() == 1
    assert harness.reload(held).held_since is not None
    assert harness.reload(held).status == "accepted"
    assert harness.reload(other).holder == "e1"


def test_what_an_extension_holds_goes_on(harness: Harness) -> None:
    harness.connect()
    started = harness.submit_and_start()
    harness.services.holding.hold_user(started.user_id)
    assert harness.reload(started) == started


def test_released_requests_are_assigned_in_their_former_order(harness: Harness) -> None:
    first, second = harness.submit("ann"), harness.submit("ann")
    harness.services.holding.hold_user("ann")
    harness.services.holding.release_user("ann")
    harness.connect()
    assert harness.assign() == 1
    assert harness.reload(first).status == "processing"
    assert harness.reload(second).status == "accepted"


def test_released_requests_queue_behind_what_was_served_meanwhile_one_after_the_other(harness: Harness) -> None:
    low = harness.submit("ann", priority=Priority.LOW)
    jobs = [harness.submit("ann") for _ in range(3)]
    harness.services.holding.hold_user("ann")
    harness.connect(max_concurrent=3)
    others = [harness.submit("bob") for _ in range(3)]
    assert harness.assign() == 3
    harness.services.holding.release_user("ann")
    served = others[-1].virtual_start
    assert [harness.reload(job).virtual_start for job in jobs] == [served, served + UNIT, served + 2 * UNIT]
    assert harness.reload(low).virtual_start == 0, "another class is another queue"


def test_the_time_for_which_a_request_was_held_does_not_count_as_waiting(harness: Harness) -> None:
    job = harness.submit()
    harness.services.holding.hold_user(job.user_id)
    harness.update_job(job, queued_at=job.queued_at - HOUR, held_since=harness.now() - HOUR)
    harness.services.holding.release_user(job.user_id)
    released = harness.reload(job)
    assert released.held_since is None
    assert job.queued_at <= released.queued_at <= harness.now()
    assert released.due_at >= job.due_at


def test_each_change_has_a_version_that_watchers_see_and_no_event(harness: Harness) -> None:
    job = harness.submit()
    harness.services.holding.hold_user(job.user_id)
    harness.services.holding.release_user(job.user_id)
    changes = [change for change in harness.bench.bus.changes if change["requestId"] == job.id]
    assert [change["version"] for change in changes] == [2, 3]
    assert harness.reload(job).version == 3
    assert harness.event_types(job) == ["ImageGenerationRequestedEvent"]


def test_a_release_wakes_a_dispatcher_if_an_extension_is_free(harness: Harness) -> None:
    job = harness.submit()
    harness.services.holding.hold_user(job.user_id)
    harness.connect()
    before = harness.bench.tasks.assigns
    harness.services.holding.release_user(job.user_id)
    assert harness.bench.tasks.assigns == before + 1


def test_more_than_one_transaction_takes_are_all_held_and_released(
    harness: Harness, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(services, "AT_ONCE", 2)
    jobs = [harness.submit() for _ in range(5)]
    harness.services.holding.hold_user("ann")
    assert all(harness.reload(job).held_since for job in jobs)
    harness.services.holding.release_user("ann")
    assert [harness.reload(job).virtual_start for job in jobs] == [n * UNIT for n in range(5)]


def test_items_of_a_batch_are_held_with_their_user_and_released_with_their_batch(harness: Harness) -> None:
    items = [harness.submit() for _ in range(3)]
    for index, item in enumerate(items, 1):
        harness.update_job(item, batch_id=BATCH, batch_index=index, deadline_at=2**50)
    harness.update_job(items[0], priority=Priority.LOW)
    harness.services.holding.hold_user("ann")
    assert all(harness.reload(item).held_since for item in items)
    assert [harness.reload(item).deadline_at for item in items] == [None] * 3, "they run from their release"
    harness.services.holding.release_user("ann")
    assert all(harness.reload(item).held_since for item in items)

    def release_two(tx: Transaction) -> list[str]:
        found = holding.held_of_batch(tx, BATCH, 2)
        harness.services.holding.release(tx, found, deadline_ms=HOUR)
        return [job.id for job in found]

    assert harness.bench.database.write(release_two) == [items[1].id, items[2].id]
    assert [harness.reload(item).held_since is None for item in items] == [False, True, True]
    assert (harness.reload(items[1]).deadline_at or 0) > harness.now()
    waiting = harness.bench.database.write(lambda tx: holding.waiting_of_batch(tx, BATCH, 9))
    assert {job.id for job in waiting} == {items[1].id, items[2].id}


def test_a_request_that_another_transaction_changes_is_skipped(harness: Harness) -> None:
    """On PostgreSQL; SQLite has one writer at a time."""
    job, other = harness.submit(), harness.submit()

    def while_locked(tx: Transaction) -> list[Job]:
        harness.services.cancellation._cancel(tx, job.id, None)
        if tx.writes_alone:
            return holding.waiting_of_user(tx, "ann", 9)
        with ThreadPoolExecutor(1) as pool:
            found = partial(holding.waiting_of_user, user_id="ann", limit=9)
            return pool.submit(harness.bench.database.write, found).result()

    assert [each.id for each in harness.bench.database.write(while_locked)] == [other.id]
