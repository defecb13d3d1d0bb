"""A rate limit in a real Redis, and in this process while Redis is unavailable."""

from __future__ import annotations

import os
import signal
import tempfile
import time
import uuid
from collections.abc import Iterator
from pathlib import Path

import pytest

from app.adapters import rate_limit
from app.adapters.rate_limit import RateLimit
from app.adapters.redis_clients import redis_client
from app.adapters.token_bucket import TIMEOUT_S, bucket
from tests.support.redis import running_redis

SLOW = bucket(1, 3_600_000, 20)  # one token an hour: none is refilled during a test


class Clock:
    """A clock that a test moves."""

    now_s = 1000.0

    def __call__(self) -> float:
        return self.now_s


@pytest.fixture
def name() -> str:
    return uuid.uuid4().hex


@pytest.fixture
def stoppable() -> Iterator[tuple[str, int]]:
    """A separate Redis: its URL and process id."""
    with tempfile.TemporaryDirectory(prefix="imagefleet-redis-") as folder, running_redis(Path(folder)) as server:
        pid = int(redis_client(server.url).info("server")["process_id"])
        yield server.url, pid
        os.kill(pid, signal.SIGCONT)


def hits(limit: RateLimit, name: str, times: int) -> int:
    return sum(limit.hit(name) for _ in range(times))


def test_processes_share_a_limit(redis_url: str, name: str) -> None:
    assert hits(RateLimit(SLOW, redis_url), name, 15) == 15
    other = RateLimit(SLOW, redis_url)
    assert other.wait_s(name) == 0
    assert hits(other, name, 25) == 5
    assert 3590 < other.wait_s(name) <= 3600


def test_without_redis_the_limit_applies_to_the_process(name: str) -> None:
    limit = RateLimit(SLOW, "unix:///nonexistent/redis.sock")
    assert hits(limit, name, 25) == 20
    assert 3590 < limit.wait_s(name) <= 3600


def test_a_frozen_redis_delays_one_call_a_second(stoppable: tuple[str, int], name: str) -> None:
    url, pid = stoppable
    clock = Clock()
    limit = RateLimit(SLOW, url, clock)
    assert hits(limit, name, 15) == 15
    os.kill(pid, signal.SIGSTOP)
    for expected in (20, 0):
        began = time.monotonic()
        assert hits(limit, name, 200) == expected
        assert time.monotonic() - began < 100 * TIMEOUT_S  # half of what it took if each of them waited
        clock.now_s += rate_limit.RETRY_S
    os.kill(pid, signal.SIGCONT)
    # Redis has counted 15, and now also the commands sent while it was frozen, although they timed out.
    assert 3 <= hits(limit, name, 25) <= 5
