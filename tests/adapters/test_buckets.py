"""Buckets that processes share in a real Redis, and what becomes of them while it is away."""

from __future__ import annotations

import os
import signal
import tempfile
import time
import uuid
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
import redis

from app.adapters import buckets as module
from app.adapters.buckets import PREFIX, TIMEOUT_S, Buckets, OwnBuckets
from app.adapters.commands import Commands
from app.adapters.redis_clients import redis_client
from app.domain.buckets import SECOND_US, Bucket
from tests.support.redis import running_redis

SLOW = Bucket.of(1, 3_600_000, 20)  # one an hour: nothing comes back while a test runs


@pytest.fixture
def client(redis_url: str) -> redis.Redis:
    return redis_client(redis_url, TIMEOUT_S)


@pytest.fixture
def name() -> str:
    return uuid.uuid4().hex


def given(buckets: Buckets, name: str, times: int, bucket: Bucket = SLOW) -> int:
    return sum(buckets.take({name: bucket}).given for _ in range(times))


def test_many_at_once_get_exactly_what_there_is(redis_url: str, name: str) -> None:
    processes = [Buckets(Commands(redis_client(redis_url, 5.0))) for _ in range(4)]
    with ThreadPoolExecutor(16) as pool:
        taken = list(pool.map(lambda n: processes[n % 4].take({name: SLOW}).given, range(200)))
    assert taken.count(True) == 20


def test_tokens_come_back_one_by_one(client: redis.Redis, name: str) -> None:
    buckets = Buckets(Commands(client))
    assert given(buckets, name, 25) == 20
    hour_us = 3600 * SECOND_US
    client.set(PREFIX + name, int(str(client.get(PREFIX + name))) - 2 * hour_us)  # two hours later
    assert given(buckets, name, 5) == 2


def test_a_bucket_that_is_full_again_is_forgotten(client: redis.Redis, name: str) -> None:
    taken = Buckets(Commands(client)).take({name: SLOW})
    assert 0 < int(str(client.pttl(PREFIX + name))) <= taken.debts_us[0] / 1000 + 1


def test_all_give_or_none(client: redis.Redis, name: str) -> None:
    buckets, single = Buckets(Commands(client)), Bucket.of(1, 3_600_000, 1)
    both = {name: SLOW, f"{name}-single": single}
    assert [buckets.take(both).given for _ in range(3)] == [True, False, False]
    assert given(buckets, name, 25) == 19


@pytest.mark.parametrize("kept", ["9" * 15 + "0", "nonsense", "-1"])
def test_whatever_the_clock_did_a_bucket_is_never_worse_than_empty(client: redis.Redis, name: str, kept: str) -> None:
    client.set(PREFIX + name, kept)
    taken = Buckets(Commands(client)).take({name: SLOW})
    assert 0 <= taken.debts_us[0] <= SLOW.deepest_us


@pytest.fixture
def frail() -> Iterator[tuple[str, int]]:
    """A Redis of the test's own: its address and its process."""
    with tempfile.TemporaryDirectory(prefix="imagefleet-redis-") as folder, running_redis(Path(folder)) as server:
        pid = int(redis_client(server.url).info("server")["process_id"])
        yield server.url, pid
        os.kill(pid, signal.SIGCONT)


def test_frozen_redis_is_waited_for_once_a_second_and_the_count_goes_on(
    frail: tuple[str, int], name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    url, pid = frail
    now = [1000.0]
    buckets = Buckets(Commands(redis_client(url, TIMEOUT_S)), lambda: now[0])
    assert given(buckets, name, 15) == 15
    os.kill(pid, signal.SIGSTOP)
    began = time.monotonic()
    assert given(buckets, name, 200) == 5
    assert time.monotonic() - began < 0.5  # for all of them together
    now[0] += module.AGAIN_S
    began = time.monotonic()
    assert given(buckets, name, 200) == 0
    assert time.monotonic() - began < 0.5
    os.kill(pid, signal.SIGCONT)
    now[0] += module.AGAIN_S
    monkeypatch.setattr(OwnBuckets, "take", lambda *_: pytest.fail("Redis is there again"))
    # Redis had given 15; what it was asked while it was frozen it has done since, though nobody waited for the answer.
    assert 3 <= given(buckets, name, 25) <= 5


def test_a_redis_that_is_gone_and_comes_back_empty_is_used_at_once(client: redis.Redis, name: str) -> None:
    now = [1000.0]
    nowhere = redis_client("unix:///nonexistent/redis.sock", TIMEOUT_S)
    buckets = Buckets(Commands(nowhere), lambda: now[0])
    assert given(buckets, name, 25) == 20
    nowhere.connection_pool = client.connection_pool
    assert given(buckets, name, 25) == 0
    now[0] += module.AGAIN_S
    assert given(buckets, name, 25) == 20


def test_invented_names_do_not_fill_the_memory(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "REMEMBERED", 10)
    own = OwnBuckets(lambda: 1000.0)
    for n in range(100):
        own.take({f"invented-{n}": SLOW, "everybody": SLOW}, 1)
    assert len(own._full_at_us) == 10
    assert own.take({"everybody": SLOW}, 1).given is False
