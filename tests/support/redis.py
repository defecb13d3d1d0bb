"""Real embedded Redis servers for tests."""

from __future__ import annotations

import os
import signal
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path

from app.adapters.local_redis import LocalRedis, find_server
from app.adapters.redis_clients import redis_client
from app.adapters.token_bucket import KEY_PREFIX
from app.launch.parent_death import end_with_parent
from tests.support.waiting import until


@contextmanager
def running_redis(folder: Path) -> Iterator[LocalRedis]:
    """A server with its socket in `folder` (a short path), which ends with the block or with this process."""
    binary = find_server()
    assert binary is not None, "no Valkey or Redis server: install requirements.txt"
    server = LocalRedis(binary, folder, folder / "redis.sock")
    process = subprocess.Popen(
        server.command,
        stdout=subprocess.DEVNULL,
        preexec_fn=partial(end_with_parent, os.getpid()),  # noqa: PLW1509 - it makes two system calls and takes no lock
    )
    try:
        until(server.is_ready, what="the embedded Redis to answer")
        yield server
    finally:
        process.terminate()
        process.wait(10)


def limit_keys(redis_url: str) -> list[str]:
    """The keys of the rate limits whose buckets are not full."""
    return list(redis_client(redis_url).scan_iter(f"{KEY_PREFIX}:*"))


def forget_limits(redis_url: str) -> None:
    """Make every rate limit's bucket full."""
    client = redis_client(redis_url)
    for key in limit_keys(redis_url):
        client.delete(key)


class RestartableRedis:
    """A Redis that can be killed and started again."""

    def __init__(self, server: LocalRedis) -> None:
        self.server = server
        self._again: subprocess.Popen[bytes] | None = None

    @property
    def pid(self) -> int:
        """Its process, while it answers."""
        return int(redis_client(self.server.url).info("server")["process_id"])

    def clear_limits(self) -> None:
        """Make every rate limit's bucket full."""
        forget_limits(self.server.url)

    def kill(self) -> None:
        """It is gone from one moment to the next."""
        os.kill(self.pid, signal.SIGKILL)

    def start(self) -> None:
        """Start it again; it is empty."""
        self._again = subprocess.Popen(
            self.server.command,
            stdout=subprocess.DEVNULL,
            preexec_fn=partial(end_with_parent, os.getpid()),  # noqa: PLW1509 - two system calls, and no lock
        )
        until(self.server.is_ready, what="Redis to answer again")

    def end(self) -> None:
        """End what `start` started."""
        if self._again is not None:
            self._again.terminate()
            self._again.wait(10)


@contextmanager
def restartable_redis(folder: Path) -> Iterator[RestartableRedis]:
    """A server as above, which may be killed meanwhile."""
    with running_redis(folder) as server:
        frail = RestartableRedis(server)
        try:
            yield frail
        finally:
            frail.end()
