"""Commits that free a slot or add a job wake a dispatcher if there is something for it to do."""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor

import pytest
from sqlalchemy import Connection

from app.db import jobs, slots
from app.db.engine import Database
from app.domain.errors import Unavailable
from app.domain.states import Status
from tests.support.crew import Crew


def connects(crew: Crew) -> Callable[[], object]:
    return lambda: crew.join("e2")


def delivers(crew: Crew) -> Callable[[], object]:
    holder, job = crew.at_work()
    return lambda: crew.deliver(holder, job)


def fails(crew: Crew) -> Callable[[], object]:
    holder, job = crew.at_work()
    return lambda: crew.give_up(holder, job, "content policy", retryable=False)


def is_cancelled(crew: Crew) -> Callable[[], object]:
    _, job = crew.at_work()
    return lambda: crew.services.cancellation.cancel(job.id)


def takes_work_again(crew: Crew) -> Callable[[], object]:
    holder = crew.join()
    crew.beat(holder, available=False)
    return lambda: crew.beat(holder, available=True)


@pytest.mark.parametrize("event", [connects, delivers, fails, is_cancelled, takes_work_again])
def test_a_freed_slot_wakes_a_dispatcher_if_a_job_waits(
    crew: Crew, event: Callable[[Crew], Callable[[], object]]
) -> None:
    free_slot = event(crew)
    crew.order(model="flux")
    crew.bench.tasks.assigns = 0
    free_slot()
    assert crew.bench.tasks.assigns == 1


@pytest.mark.parametrize("event", [connects, delivers, fails, is_cancelled, takes_work_again])
def test_a_freed_slot_wakes_no_dispatcher_if_no_job_waits(
    crew: Crew, event: Callable[[Crew], Callable[[], object]]
) -> None:
    free_slot = event(crew)
    crew.bench.tasks.assigns = 0
    free_slot()
    assert crew.bench.tasks.assigns == 0


def test_waiting_jobs_are_queried_after_the_commit_that_freed_the_slot(
    crew: Crew, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Otherwise a job added in between would find no free slot, and wait for the next sweep."""
    holder, job = crew.at_work()
    seen: list[Status] = []

    def any_waiting(_: Connection) -> bool:
        with ThreadPoolExecutor(1) as another:
            seen.append(another.submit(crew.now, job).result(30).status)
        return False

    monkeypatch.setattr(jobs, "any_waiting", any_waiting)
    crew.deliver(holder, job)
    assert seen == [Status.DOWNLOADING]


def test_free_extensions_are_queried_after_the_commit_that_added_the_job(
    crew: Crew, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Otherwise an extension freed in between would find no waiting job, and the job would wait for the next sweep."""
    seen: list[int] = []

    def any_free(_: Connection) -> bool:
        with ThreadPoolExecutor(1) as another:
            seen.append(len(another.submit(crew.services.lookup.page, "ann", None, None, 10).result(30).jobs))
        return False

    monkeypatch.setattr(slots, "any_free", any_free)
    crew.order("ann")
    assert seen == [1]


def test_a_dispatcher_is_woken_if_the_query_fails_and_the_report_is_accepted(
    crew: Crew, monkeypatch: pytest.MonkeyPatch
) -> None:
    holder, job = crew.at_work()
    crew.bench.tasks.assigns = 0

    def read(*_: object) -> None:
        raise Unavailable

    with monkeypatch.context() as away:
        away.setattr(Database, "read", read)
        crew.deliver(holder, job)
    assert (crew.now(job).status, crew.bench.tasks.assigns) == (Status.DOWNLOADING, 1)
