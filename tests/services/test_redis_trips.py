"""How often each step of a request goes to Redis, counted, with the adapters that do so for real."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from app.adapters.bus import RedisBus, hub_channel
from app.adapters.commands import Commands
from app.adapters.redis_clients import redis_client
from app.adapters.tasks import CeleryTasks
from app.config import Settings
from app.db.engine import Database
from app.factory import create_app
from celery_config import configured
from tests.support import fakes
from tests.support.crew import HUB, Crew
from tests.support.trips import counted_trips

# To accept a request is one script for all its limits and one for the wake, which nobody needs where an extension of this
# process is free; to hand it over, one message to the hub and one to whoever watches; a result wakes a download and, since
# a slot is free, a hand-off, by one script.
MOST = {"submit": 2, "hand over": 2, "progress": 1, "result": 2}


class Wired:
    """A crew whose bus and tasks are Redis's."""

    def __init__(self, database: Database, folder: Path, redis_url: str) -> None:
        settings = Settings.from_env({"REDIS_URL": redis_url})
        client, self.background = redis_client(redis_url), fakes.Later()
        commands = Commands(client)
        commands.tell("PING")
        commands.ask("PING")  # now there is a connection for each
        self.hub = client.pubsub()  # type: ignore[no-untyped-call]
        self.hub.subscribe(hub_channel(HUB))
        bench = fakes.bench(database, folder).with_tools(
            bus=RedisBus(commands, self.background),
            tasks=CeleryTasks(configured(settings), self.background, commands),
        )
        self.crew = Crew.of(bench)
        self.http = create_app(settings, self.crew.services).test_client()

    def post(self) -> None:
        assert self.http.post("/api/images/generate", json={"prompt": "A fox"}).status_code == 200


@pytest.fixture
def wired(database: Database, tmp_path: Path, redis_url: str) -> Wired:
    return Wired(database, tmp_path / "pictures", redis_url)


def submit(wired: Wired) -> Callable[[], object]:
    wired.post()  # the first sends the scripts' texts along, and connects
    return wired.post


def hand_over(wired: Wired) -> Callable[[], object]:
    wired.crew.join("e1", max_concurrent=9)
    wired.crew.taken()
    wired.crew.order()
    return wired.crew.hand_out


def progress(wired: Wired) -> Callable[[], object]:
    holder, job = wired.crew.at_work()
    return lambda: wired.crew.progress(holder, job)


def result(wired: Wired) -> Callable[[], object]:
    holder, job = wired.crew.at_work()
    return lambda: wired.crew.deliver(holder, job)


STEPS = {
    "submit": submit,
    "hand over": hand_over,
    "progress": progress,
    "result": result,
}


@pytest.mark.parametrize("step", STEPS)
def test_a_step_goes_to_redis_no_more_often_than_it_did(wired: Wired, step: str) -> None:
    act = STEPS[step](wired)
    wired.background.do_it()
    with counted_trips() as trips:
        act()
        wired.background.do_it()
    assert 0 < len(trips) <= MOST[step], trips
