"""Waking workers, over a real Redis."""

from __future__ import annotations

import base64
import dataclasses
import json
from collections.abc import Iterator
from typing import Any, cast

import pytest
import redis

from app import logs
from app.adapters.background import Background
from app.adapters.commands import Commands
from app.adapters.envelopes import CORRELATION_HEADER
from app.adapters.redis_clients import redis_client
from app.adapters.tasks import ASSIGN, DOWNLOAD, ENOUGH, CeleryTasks
from app.config import Settings
from celery_config import DISPATCH, configured
from celery_config import DOWNLOAD as DOWNLOAD_QUEUE
from tests.support.fakes import Later
from tests.support.under_gevent import ran_under_gevent


@pytest.fixture
def client(redis_url: str) -> Iterator[redis.Redis]:
    client = redis_client(redis_url)
    client.delete(DISPATCH, DOWNLOAD_QUEUE)
    yield client
    client.delete(DISPATCH, DOWNLOAD_QUEUE)


@pytest.fixture
def background() -> Background:
    return Background("test")


@pytest.fixture
def commands(client: redis.Redis) -> Commands:
    return Commands(client)


@pytest.fixture
def tasks(redis_url: str, background: Background, commands: Commands) -> CeleryTasks:
    settings = dataclasses.replace(Settings.from_env({}), redis_url=redis_url)
    return CeleryTasks(configured(settings), background, commands)


def finish(background: Background, commands: Commands) -> None:
    """Wait until all is carried out."""
    background.close(10)
    commands.tell("PING")  # which first hears what came of what was told before


def sent(client: redis.Redis, queue: str) -> list[tuple[dict[str, Any], list[Any]]]:
    """Headers and arguments of the messages in a queue, oldest first."""
    raw: Any = client.lrange(queue, 0, -1)
    messages = [json.loads(each) for each in reversed(raw)]
    return [(each["headers"], json.loads(base64.b64decode(each["body"]))[0]) for each in messages]


def test_a_wake_names_its_task_and_goes_to_its_queue(
    tasks: CeleryTasks, background: Background, commands: Commands, client: redis.Redis
) -> None:
    with logs.about("correlation-1"):
        tasks.assign()
        tasks.download()
    finish(background, commands)
    for queue, task in ((DISPATCH, ASSIGN), (DOWNLOAD_QUEUE, DOWNLOAD)):
        ((headers, args),) = sent(client, queue)
        assert (headers["task"], args, headers[CORRELATION_HEADER]) == (task, [], "correlation-1")


def test_wakes_that_nobody_takes_do_not_pile_up_and_go_stale_by_no_clock(redis_url: str, client: redis.Redis) -> None:
    celery = configured(dataclasses.replace(Settings.from_env({}), redis_url=redis_url))
    for _ in range(ENOUGH + 5):
        background, commands = Background("test"), Commands(client)
        tasks = CeleryTasks(celery, background, commands)
        tasks.assign()
        tasks.download()
        finish(background, commands)
    for queue in (DISPATCH, DOWNLOAD_QUEUE):
        messages = sent(client, queue)
        assert len(messages) == ENOUGH
        assert all(headers["expires"] is None for headers, _ in messages)


def test_the_tasks_that_are_sent_by_name_are_there() -> None:
    from worker import dispatch, download  # noqa: PLC0415 - the worker's room, which this one never imports

    assert (dispatch.assign.name, download.run.name) == (ASSIGN, DOWNLOAD)


def test_nobody_fails_or_waits_where_redis_is_away(background: Background) -> None:
    settings = dataclasses.replace(Settings.from_env({}), redis_url="redis://127.0.0.1:1/0")
    tasks = CeleryTasks(configured(settings), background, Commands(redis_client(settings.redis_url)))
    for _ in range(20):
        tasks.assign()
        tasks.download()
    background.close(0)


class Hints:
    """What is told to Redis, which has answered what came before, or breaks."""

    def __init__(self, *, answered: bool, breaks: bool = False) -> None:
        self.answered = answered
        self.told: list[str] = []
        self._breaks = breaks

    def tell(self, *command: str | int) -> None:
        """Noted."""
        if self._breaks:
            raise redis.ConnectionError
        self.told.append(str(command[-1]))


@pytest.mark.parametrize(
    ("alone", "answered", "breaks", "at_once"),
    [
        (True, True, False, True),
        (False, True, False, False),  # whoever else runs may have a wake that goes along
        (True, False, False, False),  # Redis is slow, or nothing was told yet
        (True, True, True, False),
    ],
)
def test_a_wake_is_sent_at_once_where_nobody_is_to_be_waited_for(
    *, alone: bool, answered: bool, breaks: bool, at_once: bool
) -> None:
    hints, later = Hints(answered=answered, breaks=breaks), Later()
    tasks = CeleryTasks(configured(Settings.from_env({})), later, cast(Commands, hints), lambda: alone)
    with logs.about("correlation-1"):
        tasks.assign()
    assert (len(hints.told), list(later.told)) == ((1, []) if at_once else (0, ["wakes"]))
    hints._breaks = False
    later.do_it()
    (told,) = hints.told
    assert json.loads(told)["headers"][CORRELATION_HEADER] == "correlation-1"


def test_under_gevent_a_hand_off_is_woken_before_the_client_has_its_answer() -> None:
    program = """
        order = []
        commands = SimpleNamespace(tell=lambda *_: order.append("woken"))
        tasks = CeleryTasks(configured(Settings.from_env({})), Background("test"), commands)
        for _ in range(2):  # the first begins the thread too
            tasks.assign()
            order.append("answered")
        print(*order)
    """
    opened = """
from types import SimpleNamespace
from app.adapters.background import Background
from app.adapters.tasks import CeleryTasks
from app.config import Settings
from celery_config import configured
"""
    assert ran_under_gevent(opened, program, given="") == ("woken answered woken answered\n", "")
