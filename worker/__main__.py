"""`python -m worker`: one Celery worker for hand-offs and sweeps, and one for downloads, which slow image hosts may fill."""

from __future__ import annotations

import asyncio
import os
import sys

from app.adapters.celery_app import DISPATCH, DOWNLOAD, HOUSEKEEPING
from app.config import BadSetting, Settings
from app.launch.console import print_error, print_line
from app.launch.process import Command
from app.launch.supervisor import Supervisor

GRACE_S = 25.0  # more than worker_soft_shutdown_timeout, which running tasks are given to end
DISPATCHERS = 2  # processes: a sweep that takes long does not hold up the hand-off
CELERY_WORKERS = 2


def dispatcher(log_level: str) -> Command:
    """The Celery worker that hands requests out and runs the sweeps."""
    return _celery_worker(DISPATCH, f"{DISPATCH},{HOUSEKEEPING}", DISPATCHERS, log_level)


def downloader(concurrency: int, log_level: str) -> Command:
    """The Celery worker that fetches, checks and stores pictures."""
    return _celery_worker(DOWNLOAD, DOWNLOAD, concurrency, log_level)


def _celery_worker(name: str, queues: str, concurrency: int, log_level: str) -> Command:
    """The pool is `prefork`: it ends tasks that exceed their time limit, and a decoder that runs out of memory ends alone.

    SIGTERM alone would wait for running tasks for ever; remapped, they have their grace and go back to the queue.
    """
    command = (sys.executable, "-m", "celery", "-A", "celery_config", "--quiet", "worker")
    options = (
        f"--queues={queues}",
        f"--concurrency={concurrency}",
        f"--hostname={name}-{os.getpid()}@%h",
        f"--loglevel={log_level}",
        "--pool=prefork",
        "--without-gossip",
        "--without-mingle",
    )
    return Command(name, command + options, GRACE_S, {"REMAP_SIGTERM": "SIGQUIT"})


async def run(settings: Settings) -> None:
    """Keep them running until SIGTERM or SIGINT."""
    async with Supervisor(print_line, stop_together=True) as supervisor:
        supervisor.start(dispatcher(settings.log_level))
        supervisor.start(downloader(settings.worker_processes, settings.log_level))
        await supervisor.run()


def main() -> int:
    """Returns the exit status: 0 after a stop that was asked for, 2 for a bad setting."""
    try:
        asyncio.run(run(Settings.from_env()))
    except BadSetting as problem:
        print_error(problem)
        return 2
    return 0


if __name__ == "__main__":
    sys.exit(main())
