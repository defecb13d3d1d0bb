"""`python -m worker`: Celery workers for the hand-off, and one for downloads, so that slow image hosts never hold it up."""

from __future__ import annotations

import asyncio
import os
import sys
from collections.abc import Sequence

from app.config import BadSetting, Settings
from app.launch.console import complain, say
from app.launch.service import Service
from app.launch.supervisor import Supervisor
from celery_config import DISPATCH, DOWNLOAD, HOUSEKEEPING

GRACE_S = 25.0  # more than worker_soft_shutdown_timeout, which running tasks are given to end
DISPATCHERS = 2  # a sweep that takes long, or the end of one of them, does not hold up the hand-off
CELERY_WORKERS = DISPATCHERS + 1


def dispatcher(number: int, log_level: str) -> Service:
    """A Celery worker that does its tasks itself: to pass one on to a process of a pool costs as much as a hand-off.

    SIGTERM waits for the task that runs: a hand-off or a sweep is soon over, and pool.py ends one that is not.
    """
    name = f"{DISPATCH}-{number}"
    return Service(name, _command(name, (DISPATCH, HOUSEKEEPING), "solo", 1, log_level), GRACE_S)


def downloader(concurrency: int, log_level: str) -> Service:
    """A Celery worker with a pool: decoders that eat up time or memory are ended there without harm to others.

    SIGTERM alone would wait for running tasks for ever; remapped, they have their grace and go back to the queue.
    """
    command = _command(DOWNLOAD, (DOWNLOAD,), "prefork", concurrency, log_level)
    return Service(DOWNLOAD, command, GRACE_S, {"REMAP_SIGTERM": "SIGQUIT"})


def _command(name: str, queues: Sequence[str], pool: str, concurrency: int, log_level: str) -> tuple[str, ...]:
    command = (sys.executable, "-m", "celery", "-A", "celery_config", "--quiet", "worker")
    options = (
        f"--queues={','.join(queues)}",
        f"--concurrency={concurrency}",
        f"--hostname={name}-{os.getpid()}@%h",
        f"--loglevel={log_level}",
        f"--pool={pool}",
        "--without-gossip",
        "--without-mingle",
    )
    return command + options


async def run(settings: Settings) -> None:
    """Keep them running until SIGTERM or SIGINT."""
    async with Supervisor(say, stop_together=True) as supervisor:
        for number in range(1, DISPATCHERS + 1):
            supervisor.start(dispatcher(number, settings.log_level))
        supervisor.start(downloader(settings.worker_processes, settings.log_level))
        await supervisor.run()


def main() -> int:
    """Returns the exit status: 0 after a stop that was asked for, 2 for a bad setting."""
    try:
        asyncio.run(run(Settings.from_env()))
    except BadSetting as problem:
        complain(problem)
        return 2
    return 0


if __name__ == "__main__":
    sys.exit(main())
