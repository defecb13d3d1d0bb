"""Counts the round trips to Redis of each step of a request, with the real adapters."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from pathlib import Path

import pytest

from app.adapters.bus import RedisBus, hub_channel
from app.adapters.celery_app import make_celery
from app.adapters.redis_clients import redis_client
from app.adapters.tasks import ASSIGN, DOWNLOAD, CeleryTasks
from app.config import Settings
from app.db.engine import Database
from app.factory import create_app
from tests.support import fakes
from tests.support.harness import HUB, Harness
from tests.support.redis_round_trips import recorded_round_trips

# A submission is one script for each enabled rate limit and, if an extension is free, the key and the task of its wake-up; while
# an earlier wake-up has not started, only the key. With no free extension there is no wake-up. Assigning it is one message to the
# hub and one to the watchers. A result is one message to the watchers, and wakes a download.
TRIPS = {
    "submit": 5,
    "submit while a wake-up waits": 4,
    "submit to a busy fleet": 3,
    "hand over": 2,
    "progress": 1,
    "result": 3,
}


class Wired:
    """A harness whose bus and tasks use a real Redis."""

    def __init__(self, database: Database, folder: Path, redis_url: str) -> None:
        settings = Settings.from_env({"REDIS_URL": redis_url})
        client, self.background = redis_client(redis_url), fakes.DeferredRunner()
        self.hub = client.pubsub()  # type: ignore[no-untyped-call]
        self.hub.subscribe(hub_channel(HUB))
        bench = fakes.bench(database, folder)
        limited = dataclasses.replace(bench.ports.settings, redis_url=redis_url, limits=settings.limits)
        bench = bench.with_ports(
            settings=limited,
            bus=RedisBus(client, self.background),
            tasks=CeleryTasks(make_celery(settings), client, self.background, settings.sweep_interval_ms),
        )
        self.harness = Harness.of(bench)
        tasks = bench.ports.tasks
        for wake in (tasks.assign, tasks.download):  # the first use of each connects and declares its queue
            wake()
            self.background.run_all()
        self.wake_ups_are_taken()
        self.http = create_app(limited, self.harness.services).test_client()

    def wake_ups_are_taken(self) -> None:
        for task in (ASSIGN, DOWNLOAD):
            self.harness.bench.ports.tasks.started(task)

    def post(self) -> None:
        assert self.http.post("/api/images/generate", json={"prompt": "A fox"}).status_code == 200


@pytest.fixture
def wired(database: Database, tmp_path: Path, redis_url: str) -> Wired:
    return Wired(database, tmp_path / "pictures", redis_url)


def submit(wired: Wired) -> Callable[[], object]:
    wired.harness.connect()
    wired.post()  # the first submission connects and also sends the source of the scripts
    wired.background.run_all()
    wired.wake_ups_are_taken()
    return wired.post


def submit_to_a_busy_fleet(wired: Wired) -> Callable[[], object]:
    wired.post()
    return wired.post


def submit_while_a_wake_up_waits(wired: Wired) -> Callable[[], object]:
    wired.harness.connect()
    wired.post()
    return wired.post


def hand_over(wired: Wired) -> Callable[[], object]:
    wired.harness.connect("e1", max_concurrent=9)
    wired.harness.submit_and_start()
    wired.harness.submit()
    return wired.harness.assign


def progress(wired: Wired) -> Callable[[], object]:
    holder, job = wired.harness.connect_and_start()
    return lambda: wired.harness.report_progress(holder, job)


def result(wired: Wired) -> Callable[[], object]:
    holder, job = wired.harness.connect_and_start()
    return lambda: wired.harness.report_image(holder, job)


STEPS = {
    "submit": submit,
    "submit while a wake-up waits": submit_while_a_wake_up_waits,
    "submit to a busy fleet": submit_to_a_busy_fleet,
    "hand over": hand_over,
    "progress": progress,
    "result": result,
}


@pytest.mark.parametrize("step", STEPS)
def test_a_step_makes_exactly_these_round_trips_to_redis(wired: Wired, step: str) -> None:
    act = STEPS[step](wired)
    wired.background.run_all()
    with recorded_round_trips() as trips:
        act()
        wired.background.run_all()
    assert len(trips) == TRIPS[step], trips
