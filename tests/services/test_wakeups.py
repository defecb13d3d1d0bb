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
from tests.support.harness import Harness


def connects(harness: Harness) -> Callable[[], object]:
    return lambda: harness.connect("e2")


def delivers(harness: Harness) -> Callable[[], object]:
    holder, job = harness.connect_and_start()
    return lambda: harness.report_image(holder, job)


def fails(harness: Harness) -> Callable[[], object]:
    holder, job = harness.connect_and_start()
    return lambda: harness.report_failure(holder, job, "content policy", retryable=False)


def is_cancelled(harness: Harness) -> Callable[[], object]:
    _, job = harness.connect_and_start()
    return lambda: harness.services.cancellation.cancel(job.id)


def takes_work_again(harness: Harness) -> Callable[[], object]:
    holder = harness.connect()
    harness.heartbeat(holder, available=False)
    return lambda: harness.heartbeat(holder, available=True)


@pytest.mark.parametrize("event", [connects, delivers, fails, is_cancelled, takes_work_again])
def test_a_freed_slot_wakes_a_dispatcher_if_a_job_waits(
    harness: Harness, event: Callable[[Harness], Callable[[], object]]
) -> None:
    free_slot = event(harness)
    harness.submit(model="flux")
    harness.bench.tasks.assigns = 0
    free_slot()
    assert harness.bench.tasks.assigns == 1


@pytest.mark.parametrize("event", [connects, delivers, fails, is_cancelled, takes_work_again])
def test_a_freed_slot_wakes_no_dispatcher_if_no_job_waits(
    harness: Harness, event: Callable[[Harness], Callable[[], object]]
) -> None:
    free_slot = event(harness)
    harness.bench.tasks.assigns = 0
    free_slot()
    assert harness.bench.tasks.assigns == 0


def test_waiting_jobs_are_queried_after_the_commit_that_freed_the_slot(
    harness: Harness, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Otherwise a job added in between would find no free slot, and wait for the next sweep."""
    holder, job = harness.connect_and_start()
    seen: list[Status] = []

    def any_waiting(_: Connection) -> bool:
        with ThreadPoolExecutor(1) as another:
            seen.append(another.submit(harness.reload, job).result(30).status)
        return False

    monkeypatch.setattr(jobs, "any_waiting", any_waiting)
    harness.report_image(holder, job)
    assert seen == [Status.DOWNLOADING]


def test_free_extensions_are_queried_after_the_commit_that_added_the_job(
    harness: Harness, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Otherwise an extension freed in between would find no waiting job, and the job would wait for the next sweep."""
    seen: list[int] = []

    def any_free(_: Connection) -> bool:
        with ThreadPoolExecutor(1) as another:
            seen.append(len(another.submit(harness.services.lookup.page, "ann", None, None, 10).result(30).jobs))
        return False

    monkeypatch.setattr(slots, "any_free", any_free)
    harness.submit("ann")
    assert seen == [1]


def test_a_dispatcher_is_woken_if_the_query_fails_and_the_report_is_accepted(
    harness: Harness, monkeypatch: pytest.MonkeyPatch
) -> None:
    holder, job = harness.connect_and_start()
    harness.bench.tasks.assigns = 0

    def read(*_: object) -> None:
        raise Unavailable

    with monkeypatch.context() as away:
        away.setattr(Database, "read", read)
        harness.report_image(holder, job)
    assert (harness.reload(job).status, harness.bench.tasks.assigns) == (Status.DOWNLOADING, 1)
