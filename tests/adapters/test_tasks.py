"""Waking workers over a real Redis."""

from __future__ import annotations

import base64
import dataclasses
import json
import socket
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import pytest
import redis
from celery import Celery
from kombu.exceptions import OperationalError

from app import logs
from app.adapters.background import BackgroundRunner
from app.adapters.celery_app import DISPATCH, make_celery
from app.adapters.celery_app import DOWNLOAD as DOWNLOAD_QUEUE
from app.adapters.redis_clients import redis_client
from app.adapters.tasks import ASSIGN, CORRELATION_HEADER, DOWNLOAD, KEY_PREFIX, CeleryTasks
from app.config import Settings
from tests.support.fakes import DeferredRunner
from tests.support.redis import restartable_redis
from worker import dispatch, download

COALESCE_MS = 60_000
KEYS = (DISPATCH, DOWNLOAD_QUEUE, KEY_PREFIX + ASSIGN, KEY_PREFIX + DOWNLOAD)


@pytest.fixture
def client(redis_url: str) -> Iterator[redis.Redis]:
    client = redis_client(redis_url)
    client.delete(*KEYS)
    yield client
    client.delete(*KEYS)


@pytest.fixture
def celery(redis_url: str) -> Celery:
    return celery_at(redis_url)


def celery_at(redis_url: str) -> Celery:
    return make_celery(dataclasses.replace(Settings.from_env({}), redis_url=redis_url))


def wake(celery: Celery, client: redis.Redis) -> None:
    """Send both wake-ups, as a separate process would."""
    background = BackgroundRunner("test")
    tasks = CeleryTasks(celery, client, background, COALESCE_MS)
    tasks.assign()
    tasks.download()
    background.close(30)


def sent(client: redis.Redis, queue: str) -> list[tuple[dict[str, Any], list[Any]]]:
    """The headers and arguments of the messages in a queue, oldest first."""
    raw: Any = client.lrange(queue, 0, -1)
    messages = [json.loads(each) for each in reversed(raw)]
    return [(each["headers"], json.loads(base64.b64decode(each["body"]))[0]) for each in messages]


def test_a_wake_up_names_its_task_and_goes_to_its_queue(celery: Celery, client: redis.Redis) -> None:
    with logs.correlated("correlation-1"):
        wake(celery, client)
    for queue, task in ((DISPATCH, ASSIGN), (DOWNLOAD_QUEUE, DOWNLOAD)):
        ((headers, args),) = sent(client, queue)
        assert (headers["task"], args, headers[CORRELATION_HEADER]) == (task, [], "correlation-1")
        assert headers["expires"] is None  # clocks differ


def test_wake_ups_of_several_processes_are_coalesced_until_the_task_starts(celery: Celery, client: redis.Redis) -> None:
    for _ in range(5):
        wake(celery, client)
    assert [len(sent(client, queue)) for queue in (DISPATCH, DOWNLOAD_QUEUE)] == [1, 1]
    CeleryTasks(celery, client, BackgroundRunner("worker"), COALESCE_MS).started(ASSIGN)
    wake(celery, client)
    assert [len(sent(client, queue)) for queue in (DISPATCH, DOWNLOAD_QUEUE)] == [2, 1]


def test_a_wake_up_whose_task_was_lost_is_sent_again_within_a_sweep_interval(
    celery: Celery, client: redis.Redis
) -> None:
    wake(celery, client)
    assert 0 < client.pttl(KEY_PREFIX + ASSIGN) <= COALESCE_MS


def test_a_mark_from_before_redis_s_clock_was_set_back_holds_no_wake_up_back(
    celery: Celery, client: redis.Redis
) -> None:
    for key in (KEY_PREFIX + ASSIGN, KEY_PREFIX + DOWNLOAD):
        client.set(key, "1", px=86_400_000)
    wake(celery, client)
    wake(celery, client)
    assert [len(sent(client, queue)) for queue in (DISPATCH, DOWNLOAD_QUEUE)] == [1, 1]
    assert 0 < client.pttl(KEY_PREFIX + ASSIGN) <= COALESCE_MS


def test_a_wake_up_that_could_not_be_sent_does_not_hold_back_the_next(celery: Celery, client: redis.Redis) -> None:
    def refuse(*_: object, **__: object) -> None:
        raise OperationalError("the broker is unavailable")

    wake(cast(Celery, SimpleNamespace(send_task=refuse)), client)
    assert client.exists(KEY_PREFIX + ASSIGN, KEY_PREFIX + DOWNLOAD) == 0
    wake(celery, client)
    assert [len(sent(client, queue)) for queue in (DISPATCH, DOWNLOAD_QUEUE)] == [1, 1]


def test_the_first_wake_up_after_a_restart_of_redis_is_sent() -> None:
    with (
        tempfile.TemporaryDirectory(prefix="imagefleet-redis-") as folder,
        restartable_redis(Path(folder)) as stoppable,
    ):
        client, celery, background = (
            redis_client(stoppable.server.url),
            celery_at(stoppable.server.url),
            DeferredRunner(),
        )
        tasks = CeleryTasks(celery, client, background, COALESCE_MS)
        tasks.assign()
        background.run_all()
        stoppable.kill()
        stoppable.start()
        client.delete(*KEYS)
        tasks.assign()
        background.run_all()
        assert len(sent(client, DISPATCH)) == 1


def test_callers_do_not_wait_for_a_redis_that_does_not_answer() -> None:
    with socket.create_server(("127.0.0.1", 0)) as silent:
        url = f"redis://127.0.0.1:{silent.getsockname()[1]}/0"
        tasks = CeleryTasks(celery_at(url), redis_client(url, timeout_s=5), BackgroundRunner("test"), COALESCE_MS)
        began = time.monotonic()
        tasks.assign()
        tasks.download()
        assert time.monotonic() - began < 5  # each of them would wait for 5 s


def test_a_key_that_cannot_be_deleted_does_not_stop_the_task(celery: Celery) -> None:
    unreachable = redis_client("redis://127.0.0.1:1/0", timeout_s=0.2)
    CeleryTasks(celery, unreachable, BackgroundRunner("test"), COALESCE_MS).started(ASSIGN)


def test_the_tasks_that_are_sent_by_name_exist() -> None:
    assert (dispatch.assign.name, download.run.name) == (ASSIGN, DOWNLOAD)


@pytest.mark.parametrize(("module", "task", "name"), [(dispatch, "assign", ASSIGN), (download, "run", DOWNLOAD)])
def test_a_task_clears_its_wake_up_before_it_reads(
    monkeypatch: pytest.MonkeyPatch, module: Any, task: str, name: str
) -> None:
    """A change committed after the task has read finds no key, so it sends another task."""
    calls: list[str] = []
    services = SimpleNamespace(
        ports=SimpleNamespace(tasks=SimpleNamespace(started=calls.append)),
        dispatch=SimpleNamespace(assign_waiting=lambda: calls.append("read")),
        download=SimpleNamespace(run=lambda: calls.append("read")),
    )
    monkeypatch.setattr(module, "services", lambda: services)
    getattr(module, task)()
    assert calls == [name, "read"]
