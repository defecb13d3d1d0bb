"""Clients that wait for a change of their request."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor

import pytest
from sqlalchemy import event

from app.db.jobs import Job
from app.services import changes
from app.services.lookup import JobDetails
from tests.support.harness import Harness
from tests.support.waiting import until


def publish(harness: Harness, since_change: int = 0) -> None:
    """Deliver the published changes, as the bus does."""
    for change in harness.bench.bus.changes[since_change:]:
        harness.services.watching.notify(change)


def details_after_wait(harness: Harness, request_id: str, wait_s: float, since: int | None = None) -> JobDetails[Job]:
    """The answer to a waiting client."""
    harness.services.lookup.await_news(request_id, wait_s, since)
    return harness.services.lookup.details(request_id)


def waits(harness: Harness, then: Callable[[], object], request_id: str, since: int | None = None) -> JobDetails[Job]:
    """The answer to a client that waits for a change of the current status while `then` runs."""
    seen = threading.Event()

    def record(_c: object, _cursor: object, statement: str, *_: object) -> None:
        if "FROM jobs" in statement:
            seen.set()

    event.listen(harness.bench.database.reader, "after_cursor_execute", record)
    with ThreadPoolExecutor(1) as pool:
        answer: Future[JobDetails[Job]] = pool.submit(details_after_wait, harness, request_id, 20.0, since)
        assert seen.wait(10)
        then()
        return answer.result(10)


def test_a_newer_version_is_answered_at_once(harness: Harness) -> None:
    _, job = harness.connect_and_start()
    assert details_after_wait(harness, job.id, 20.0, since=1).job.version == job.version


def test_a_final_request_is_answered_at_once(harness: Harness) -> None:
    job = harness.services.cancellation.cancel(harness.submit().id)
    for since in (None, job.version, 99):
        assert details_after_wait(harness, job.id, 20.0, since).job == job


@pytest.mark.parametrize("named", [True, False])
def test_a_wait_ends_with_the_next_change(harness: Harness, named: bool) -> None:
    holder, job = harness.connect_and_start()
    before = len(harness.bench.bus.changes)

    def move_on() -> None:
        harness.report_progress(holder, job, 40)
        publish(harness, before)

    view = waits(harness, move_on, job.id, job.version if named else None)
    assert view.job.progress == 40


def test_a_delayed_older_change_does_not_end_the_wait(harness: Harness) -> None:
    holder, job = harness.connect_and_start()
    older = harness.bench.bus.changes[:]

    def late_then_new() -> None:
        for change in older:
            harness.services.watching.notify(change)
        harness.report_progress(holder, job, 40)
        harness.services.watching.notify(changes.change(harness.reload(job)))

    assert waits(harness, late_then_new, job.id).job.progress == 40


def test_a_change_published_before_the_request_was_read_does_not_end_the_wait(harness: Harness) -> None:
    _, job = harness.connect_and_start()

    def tell_what_is_known(_c: object, _cursor: object, statement: str, *_: object) -> None:
        if "FROM jobs" in statement:
            publish(harness)

    event.listen(harness.bench.database.reader, "before_cursor_execute", tell_what_is_known)
    began = time.monotonic()
    details_after_wait(harness, job.id, 0.3)
    assert time.monotonic() - began >= 0.3


def test_changes_up_to_the_version_that_the_client_knows_do_not_end_the_wait(harness: Harness) -> None:
    holder, job = harness.connect_and_start()
    began = time.monotonic()

    def move_on() -> None:
        harness.report_progress(holder, job, 40)
        publish(harness)
        assert time.monotonic() - began < 5

    with ThreadPoolExecutor(1) as pool:
        answer = pool.submit(details_after_wait, harness, job.id, 0.5, job.version + 1)
        until(lambda: harness.services.watching.count == 1)
        move_on()
        assert answer.result(10).job.progress == 40
    assert time.monotonic() - began >= 0.5


def test_after_the_timeout_the_answer_is_the_current_status(harness: Harness) -> None:
    job = harness.submit()
    began = time.monotonic()
    assert details_after_wait(harness, job.id, 0.1).job == job
    assert 0.1 <= time.monotonic() - began < 5
    assert harness.services.watching.count == 0
