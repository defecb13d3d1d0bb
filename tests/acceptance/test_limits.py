"""Rate limits across two real web processes, with a Redis that is frozen, killed and restarted."""

from __future__ import annotations

import os
import shutil
import signal
import tempfile
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
GLOBAL_LIMIT = 150
HOUR = "3600000"  # for ten tokens, so none is refilled during a test


@pytest.fixture(scope="module")
def redis() -> Iterator[RestartableRedis]:
    with tempfile.TemporaryDirectory(prefix="imagefleet-redis-") as folder, restartable_redis(Path(folder)) as server:
        yield server


@pytest.fixture(scope="module")
def service(
    tmp_path_factory: pytest.TempPathFactory, migrated_sqlite_file: Path, redis: RestartableRedis
) -> Iterator[Service]:
    """Two web processes with the contract's burst, whose buckets are refilled very slowly."""
    folder = tmp_path_factory.mktemp("limits")
    database = shutil.copyfile(migrated_sqlite_file, folder / "imagefleet.db")
    limits: dict[str, Any] = {
        "RATE_LIMIT_MAX_REQUESTS": "10",
        "RATE_LIMIT_BURST": str(BURST),
        "RATE_LIMIT_WINDOW_MS": HOUR,
        "RATE_LIMIT_GLOBAL": str(GLOBAL_LIMIT),
    }
    with running_service(folder, f"sqlite:///{database}", redis.server.url, workers=0, **limits) as service:
        yield service


@pytest.fixture(autouse=True)
def _shared_again(service: Service, redis: RestartableRedis) -> None:
    """Start each test with both processes counting in Redis and all buckets full."""

    def shared() -> bool:
        redis.clear_limits()
        return all(submit(service, f"warm-{uuid.uuid4().hex}", web).status == 200 and _keys(redis) for web in (0, 1))

    until(shared, 20, "both processes to count in Redis")
    redis.clear_limits()


def _keys(redis: RestartableRedis) -> bool:
    found = limit_keys(redis.server.url)
    redis.clear_limits()
    return bool(found)


def submit(service: Service, user: str, web: int) -> Answer:
    return service.post("/api/images/generate", {"prompt": "a fox", "model": "limits", "userId": user}, web)


def at_once(service: Service, users: list[str]) -> list[int]:
    with ThreadPoolExecutor(16) as pool:
        return [answer.status for answer in pool.map(lambda n: submit(service, users[n], n % 2), range(len(users)))]


def counted_together(service: Service, redis: RestartableRedis, users: list[str]) -> list[int]:
    """Repeat `at_once` until both processes have counted in Redis throughout: on a busy machine Redis may be so slow that a
    process counts alone."""
    for _ in range(3):
        redis.clear_limits()
        before = _fallbacks(service)
        statuses = at_once(service, users)
        if _fallbacks(service) == before:
            return statuses
    raise AssertionError("Redis never replied in time")


def _fallbacks(service: Service) -> int:
    return sum(service.log(name).count("falling back to in-memory storage") for name in ("web0", "web1"))


def test_a_user_has_one_burst_across_two_processes(service: Service, redis: RestartableRedis) -> None:
    statuses = counted_together(service, redis, ["ann"] * 80)
    assert (statuses.count(200), statuses.count(429)) == (BURST, 60)


def test_invented_users_share_the_burst_of_their_address(service: Service, redis: RestartableRedis) -> None:
    statuses = counted_together(service, redis, [f"invented-{n}" for n in range(140)])
    assert (statuses.count(200), statuses.count(429)) == (ADDRESS_BURST, 40)


def test_while_redis_is_frozen_each_process_counts_alone(service: Service, redis: RestartableRedis) -> None:
    assert at_once(service, ["ann"] * 22).count(200) == BURST
    pid = redis.pid
    os.kill(pid, signal.SIGSTOP)
    try:
        for web in (0, 1):
            assert [submit(service, "ann", web).status for _ in range(BURST + 5)].count(200) == BURST
        for _ in range(10):
            for web in (0, 1):
                refused = submit(service, "ann", web)
                assert refused.status == 429
                assert int(refused.headers["retry-after"]) > 0
    finally:
        os.kill(pid, signal.SIGCONT)


def test_limits_apply_while_redis_is_down_and_are_shared_again_afterwards(
    service: Service, redis: RestartableRedis
) -> None:
    redis.kill()
    try:
        assert submit(service, "cat", 0).status == 200
        assert [submit(service, "cat", 0).status for _ in range(30)].count(200) == BURST - 1
    finally:
        redis.stop()
        redis.start()
    until(
        lambda: submit(service, f"dog-{uuid.uuid4().hex}", 0).status == 200 and _keys(redis),
        40,
        "Redis to be used again",
    )
