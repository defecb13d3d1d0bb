"""Real embedded Redis servers for tests."""

from __future__ import annotations

import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from os import getpid
from pathlib import Path

from app.adapters.local_redis import LocalRedis, find_server
from app.launch.parent import end_with_parent
from tests.support.waiting import until


@contextmanager
def running_redis(folder: Path) -> Iterator[LocalRedis]:
    """A server with its data and its socket in `folder` (a short path), which ends with the block or with this process."""
    binary = find_server()
    assert binary is not None, "no redis-server: install requirements.txt or the system's redis-server"
    server = LocalRedis(binary, folder, folder / "redis.sock")
    process = subprocess.Popen(
        server.command,
        stdout=subprocess.DEVNULL,
        preexec_fn=partial(end_with_parent, getpid()),  # noqa: PLW1509 - it makes two system calls and takes no lock
    )
    try:
        until(server.answers, what="the embedded Redis to answer")
        yield server
    finally:
        process.terminate()
        process.wait(10)
