"""Clients that wait for something to happen to their request."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor

import pytest
from sqlalchemy import event

from app.services import steps
from app.services.lookup import JobDetails
from tests.support.crew import Crew
from tests.support.waiting import until


def publish(crew: Crew, since_change: int = 0) -> None:
    """The bus delivers the published changes."""
    for change in crew.bench.bus.changes[since_change:]:
        crew.services.watching.notify(change)


def news(crew: Crew, request_id: str, wait_s: float, since: int | None = None) -> JobDetails:
    """The answer to a client that waits."""
    crew.services.lookup.await_news(request_id, wait_s, since)
    return crew.services.lookup.details(request_id)


def waits(crew: Crew, then: Callable[[], object], request_id: str, since: int | None = None) -> JobDetails:
    """The answer to a client that knows the current status and waits, when then something happens."""
    seen = threading.Event()

    def note(_c: object, _cursor: object, statement: str, *_: object) -> None:
        if "FROM jobs" in statement:
            seen.set()

    event.listen(crew.bench.database.reader, "after_cursor_execute", note)
    with ThreadPoolExecutor(1) as pool:
        answer: Future[JobDetails] = pool.submit(news, crew, request_id, 20.0, since)
        assert seen.wait(10)
        then()
        return answer.result(10)


def test_where_there_is_something_newer_the_answer_comes_at_once(crew: Crew) -> None:
    _, job = crew.at_work()
    assert news(crew, job.id, 20.0, since=1).job.version == job.version


def test_where_the_request_has_ended_the_answer_comes_at_once(crew: Crew) -> None:
    job = crew.services.cancellation.cancel(crew.order().id)
    for since in (None, job.version, 99):
        assert news(crew, job.id, 20.0, since).job == job


@pytest.mark.parametrize("named", [True, False])
def test_the_answer_comes_with_the_next_change(crew: Crew, named: bool) -> None:
    holder, job = crew.at_work()
    before = len(crew.bench.bus.changes)

    def move_on() -> None:
        crew.progress(holder, job, 40)
        publish(crew, before)

    view = waits(crew, move_on, job.id, job.version if named else None)
    assert view.job.progress == 40


def test_a_change_that_comes_late_over_the_bus_is_no_news(crew: Crew) -> None:
    holder, job = crew.at_work()
    older = crew.bench.bus.changes[:]

    def late_then_new() -> None:
        for change in older:
            crew.services.watching.notify(change)
        crew.progress(holder, job, 40)
        crew.services.watching.notify(steps.change(crew.now(job)))

    assert waits(crew, late_then_new, job.id).job.progress == 40


def test_a_change_published_before_the_request_was_read_does_not_end_the_wait(crew: Crew) -> None:
    _, job = crew.at_work()

    def tell_what_is_known(_c: object, _cursor: object, statement: str, *_: object) -> None:
        if "FROM jobs" in statement:
            publish(crew)

    event.listen(crew.bench.database.reader, "before_cursor_execute", tell_what_is_known)
    began = time.monotonic()
    news(crew, job.id, 0.3)
    assert time.monotonic() - began >= 0.3


def test_versions_that_the_client_knows_of_are_waited_through(crew: Crew) -> None:
    holder, job = crew.at_work()
    began = time.monotonic()

    def move_on() -> None:
        crew.progress(holder, job, 40)
        publish(crew)
        assert time.monotonic() - began < 5

    with ThreadPoolExecutor(1) as pool:
        answer = pool.submit(news, crew, job.id, 0.5, job.version + 1)
        until(lambda: crew.services.watching.count == 1)
        move_on()
        assert answer.result(10).job.progress == 40
    assert time.monotonic() - began >= 0.5


def test_when_the_time_is_over_the_answer_is_what_there_is(crew: Crew) -> None:
    job = crew.order()
    began = time.monotonic()
    assert news(crew, job.id, 0.1).job == job
    assert 0.1 <= time.monotonic() - began < 5
    assert crew.services.watching.count == 0
