"""The running floor of a hand-off: a Redis, a Celery worker with two processes, flask-sock, and one socket."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass

from bench import meter
from bench.environment import child, floor_web, own_redis, scratch
from bench.loading import Load, loading
from tests.support.waiting import until


@dataclass(frozen=True)
class HandoffFloor:
    """Commands go to `load`; `groups` are the server processes."""

    load: Load
    web_port: int
    web_pid: int
    worker_pid: int
    redis_pid: int

    def groups(self) -> dict[str, list[int]]:
        """The process IDs by role."""
        return {"web": meter.tree(self.web_pid), "worker": meter.tree(self.worker_pid), "redis": [self.redis_pid]}


@contextmanager
def handoff_floor() -> Iterator[HandoffFloor]:
    """Runs until the end of the block."""
    with ExitStack() as stack:
        folder = stack.enter_context(scratch())
        url, redis_pid = stack.enter_context(own_redis())
        env = {"FLOOR_REDIS_URL": url}
        port, web_pid = stack.enter_context(floor_web("sockets", **env))
        command = [sys.executable, "-m", "celery", "-A", "bench.floors.tasks", "worker", "--loglevel=info"]
        options = ["--concurrency=2", "--without-gossip", "--without-mingle"]
        with (folder / "worker.log").open("wb") as log:
            worker = stack.enter_context(child([*command, *options], env, stdout=log, stderr=log))
        until(lambda: " ready." in (folder / "worker.log").read_text(), 60, "the floor's worker to be ready")
        load = stack.enter_context(loading("bench.load.floor", env))
        load.call("connect", port=port, path="/ws")
        load.call("handoff", rate=20, seconds=0.5)  # warm-up: connections are opened at the first task
        yield HandoffFloor(load, port, web_pid, worker.pid, redis_pid)
