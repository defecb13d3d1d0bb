"""Limits over two real web processes, with a Redis that is frozen, killed and started again."""

from __future__ import annotations

import os
import shutil
import signal
import tempfile
import time
import uuid
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest

from tests.support.redis import RestartableRedis, limit_keys, restartable_redis
from tests.support.service import Answer, Service, running_service
from tests.support.waiting import until

BURST = 20
ADDRESS_BURST = 100
EVERYBODY = 150
HOUR = "3600000"  # of ten tokens: none comes back while a test runs


@pytest.fixture(scope="module")
def frail() -> Iterator[RestartableRedis]:
    with tempfile.TemporaryDirectory(prefix="imagefleet-redis-") as folder, restartable_redis(Path(folder)) as server:
        yield server


@pytest.fixture(scope="module")
def two(
    tmp_path_factory: pytest.TempPathFactory, migrated_sqlite_file: Path, frail: RestartableRedis
) -> Iterator[Service]:
    """Two web processes with the contract's burst, of which nothing comes back for minutes."""
    folder = tmp_path_factory.mktemp("two")
    database = shutil.copyfile(migrated_sqlite_file, folder / "imagefleet.db")
    limits: dict[str, Any] = {
        "RATE_LIMIT_MAX_REQUESTS": "10",
        "RATE_LIMIT_BURST": str(BURST),
        "RATE_LIMIT_WINDOW_MS": HOUR,
        "RATE_LIMIT_GLOBAL": str(EVERYBODY),
    }
    with running_service(folder, f"sqlite:///{database}", frail.server.url, workers=0, **limits) as service:
        yield service


@pytest.fixture(autouse=True)
def _shared_again(two: Service, frail: RestartableRedis) -> None:
    """Each test begins with both processes counting in Redis, and nothing counted."""

    def shared() -> bool:
        frail.clear_limits()
        return all(submit(two, f"warm-{uuid.uuid4().hex}", web).status == 200 and _keys(frail) for web in (0, 1))

    until(shared, 20, "both processes to count in Redis")
    frail.clear_limits()


def _keys(frail: RestartableRedis) -> bool:
    found = limit_keys(frail.server.url)
    frail.clear_limits()
    return bool(found)


def submit(service: Service, user: str, web: int) -> Answer:
    return service.post("/api/images/generate", {"prompt": "a fox", "model": "limits", "userId": user}, web)


def at_once(service: Service, users: list[str]) -> list[int]:
    with ThreadPoolExecutor(16) as pool:
        return [answer.status for answer in pool.map(lambda n: submit(service, users[n], n % 2), range(len(users)))]


def counted_together(two: Service, frail: RestartableRedis, users: list[str]) -> list[int]:
    """The same, once both processes have counted in Redis throughout: while a busy machine delays Redis for long enough,
    it counts as away, and each process counts for itself."""
    for _ in range(3):
        frail.clear_limits()
        before = _times_apart(two)
        statuses = at_once(two, users)
        if _times_apart(two) == before:
            return statuses
    raise AssertionError("Redis never answered in time")


def _times_apart(two: Service) -> int:
    return sum(two.log(name).count("falling back to in-memory storage") for name in ("web0", "web1"))


def test_one_user_at_two_processes_gets_exactly_one_burst(two: Service, frail: RestartableRedis) -> None:
    statuses = counted_together(two, frail, ["ann"] * 80)
    assert (statuses.count(200), statuses.count(429)) == (BURST, 60)


def test_inventing_users_gets_exactly_what_an_address_may(two: Service, frail: RestartableRedis) -> None:
    statuses = counted_together(two, frail, [f"invented-{n}" for n in range(140)])
    assert (statuses.count(200), statuses.count(429)) == (ADDRESS_BURST, 40)


def test_while_redis_is_frozen_each_process_counts_for_itself_and_waits_for_nothing(
    two: Service, frail: RestartableRedis
) -> None:
    assert at_once(two, ["ann"] * 22).count(200) == BURST
    pid = frail.pid
    os.kill(pid, signal.SIGSTOP)
    try:
        for web in (0, 1):
            assert [submit(two, "ann", web).status for _ in range(BURST + 5)].count(200) == BURST
        for _ in range(10):
            for web in (0, 1):
                began = time.monotonic()
                refused = submit(two, "ann", web)
                assert time.monotonic() - began < 0.5
                assert refused.status == 429
                assert int(refused.headers["retry-after"]) > 0
    finally:
        os.kill(pid, signal.SIGCONT)


def test_a_redis_that_is_killed_leaves_a_limit_and_is_used_when_it_is_back(
    two: Service, frail: RestartableRedis
) -> None:
    frail.kill()
    try:
        began = time.monotonic()
        assert submit(two, "cat", 0).status == 200
        assert time.monotonic() - began < 2
        assert [submit(two, "cat", 0).status for _ in range(30)].count(200) == BURST - 1
    finally:
        frail.end()
        frail.start()
    until(
        lambda: submit(two, f"dog-{uuid.uuid4().hex}", 0).status == 200 and _keys(frail), 40, "Redis to be used again"
    )
