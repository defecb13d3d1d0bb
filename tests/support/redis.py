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
    """A Redis that a test can kill and restart."""

    def __init__(self, server: LocalRedis) -> None:
        self.server = server
        self._restarted: subprocess.Popen[bytes] | None = None

    @property
    def pid(self) -> int:
        """The process id of the running server."""
        return int(redis_client(self.server.url).info("server")["process_id"])

    def clear_limits(self) -> None:
        """Make every rate limit's bucket full."""
        forget_limits(self.server.url)

    def kill(self) -> None:
        """Kill the server without a shutdown."""
        os.kill(self.pid, signal.SIGKILL)

    def start(self) -> None:
        """Start a new, empty server at the same URL."""
        self._restarted = subprocess.Popen(
            self.server.command,
            stdout=subprocess.DEVNULL,
            preexec_fn=partial(end_with_parent, os.getpid()),  # noqa: PLW1509 - two system calls, and no lock
        )
        until(self.server.is_ready, what="Redis to answer again")

    def stop(self) -> None:
        """Stop the server that `start` started."""
        if self._restarted is not None:
            self._restarted.terminate()
            self._restarted.wait(10)


@contextmanager
def restartable_redis(folder: Path) -> Iterator[RestartableRedis]:
    """As `running_redis`, for a test that kills the server."""
    with running_redis(folder) as server:
        redis = RestartableRedis(server)
        try:
            yield redis
        finally:
            redis.stop()
