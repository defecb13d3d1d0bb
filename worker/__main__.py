"""`python -m worker`: two Celery workers, so that slow image hosts never hold up the hand-off of requests."""

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
DISPATCHERS = 2  # a sweep that takes long does not hold up the hand-off


def worker(name: str, queues: Sequence[str], concurrency: int, log_level: str) -> Service:
    """A Celery worker for some of the queues."""
    command = [sys.executable, "-m", "celery", "-A", "celery_config", "--quiet", "worker"]
    options = [
        f"--queues={','.join(queues)}",
        f"--concurrency={concurrency}",
        f"--hostname={name}-{os.getpid()}@%h",
        f"--loglevel={log_level}",
        "--pool=prefork",
        "--without-gossip",
        "--without-mingle",
    ]
    # SIGTERM alone would wait for running tasks for ever; remapped, they have their grace and go back to the queue.
    return Service(name, (*command, *options), GRACE_S, {"REMAP_SIGTERM": "SIGQUIT"})


async def run(settings: Settings) -> None:
    """Keep both running until SIGTERM or SIGINT."""
    async with Supervisor(say, stop_together=True) as supervisor:
        supervisor.start(worker(DISPATCH, (DISPATCH, HOUSEKEEPING), DISPATCHERS, settings.log_level))
        supervisor.start(worker(DOWNLOAD, (DOWNLOAD,), settings.worker_processes, settings.log_level))
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
