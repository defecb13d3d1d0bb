"""Whoever makes room has the hand-off look, where somebody waits for it."""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor

import pytest
from sqlalchemy import Connection

from app.db import jobs
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


def is_called_off(crew: Crew) -> Callable[[], object]:
    _, job = crew.at_work()
    return lambda: crew.services.cancellation.cancel(job.id)


def takes_work_again(crew: Crew) -> Callable[[], object]:
    holder = crew.join()
    crew.beat(holder, available=False)
    return lambda: crew.beat(holder, available=True)


@pytest.mark.parametrize("way", [connects, delivers, fails, is_called_off, takes_work_again])
def test_room_wakes_the_hand_off_where_somebody_waits(crew: Crew, way: Callable[[Crew], Callable[[], object]]) -> None:
    make_room = way(crew)
    crew.order(model="flux")
    crew.bench.tasks.assigns = 0
    make_room()
    assert crew.bench.tasks.assigns == 1


@pytest.mark.parametrize("way", [connects, delivers, fails, is_called_off, takes_work_again])
def test_room_wakes_nobody_where_nobody_waits(crew: Crew, way: Callable[[Crew], Callable[[], object]]) -> None:
    make_room = way(crew)
    crew.bench.tasks.assigns = 0
    make_room()
    assert crew.bench.tasks.assigns == 0


def test_it_is_looked_for_who_waits_once_the_room_is_there(crew: Crew, monkeypatch: pytest.MonkeyPatch) -> None:
    """Else who comes in between would look before it, be passed over, and wait for the next sweep."""
    holder, job = crew.at_work()
    seen: list[Status] = []

    def anyone_waiting(_: Connection) -> bool:
        with ThreadPoolExecutor(1) as another:
            seen.append(another.submit(crew.now, job).result(30).status)
        return False

    monkeypatch.setattr(jobs, "anyone_waiting", anyone_waiting)
    crew.deliver(holder, job)
    assert seen == [Status.DOWNLOADING]


def test_where_nobody_can_look_the_hand_off_is_woken_and_the_report_counts(
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
