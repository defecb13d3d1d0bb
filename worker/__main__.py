"""`python -m worker`: Celery workers for hand-offs and sweeps, for downloads, and for webhooks, since both may be slow."""

import asyncio
import os
import sys

from app import metrics_folders
from app.adapters.celery_app import DISPATCH, DOWNLOAD, HOUSEKEEPING, WEBHOOKS
from app.config import BadSetting, Settings
from app.launch.console import print_error, print_line
from app.launch.process import Command
from app.launch.supervisor import Supervisor

GRACE_S = 25.0  # the time that running tasks have to finish
DISPATCHERS = 2  # processes, so that a slow sweep does not delay hand-offs
CELERY_WORKERS = 3


def dispatcher(log_level: str) -> Command:
    """The Celery worker for hand-offs and sweeps. Its pool of processes enforces their time limits."""
    return _celery_worker(DISPATCH, f"{DISPATCH},{HOUSEKEEPING}", "prefork", DISPATCHERS, log_level)


def downloader(at_once: int, log_level: str) -> Command:
    """The Celery worker that fetches, validates and stores pictures.

    Threads, since most of the time they wait for image hosts; every wait has its own time limit. Pictures are decoded in
    processes (`app.adapters.decoders`).
    """
    return _celery_worker(DOWNLOAD, DOWNLOAD, "threads", at_once, log_level)


def sender(at_once: int, log_level: str) -> Command:
    """The Celery worker that sends to webhooks; threads, for the same reason."""
    return _celery_worker(WEBHOOKS, WEBHOOKS, "threads", at_once, log_level)


def _celery_worker(name: str, queues: str, pool: str, concurrency: int, log_level: str) -> Command:
    """After SIGTERM running tasks finish. What takes longer than GRACE_S is killed, and the next sweep finds what it left."""
    command = (sys.executable, "-m", "celery", "-A", "celery_config", "--quiet", "worker")
    options = (
        f"--queues={queues}",
        f"--concurrency={concurrency}",
        f"--hostname={name}-{os.getpid()}@%h",
        f"--loglevel={log_level}",
        f"--pool={pool}",
        "--without-gossip",
        "--without-mingle",
    )
    return Command(name, command + options, GRACE_S)


async def run(settings: Settings) -> None:
    """Run the workers until SIGTERM or SIGINT."""
    async with Supervisor(print_line, stop_together=True) as supervisor:
        supervisor.start(dispatcher(settings.log_level))
        supervisor.start(downloader(settings.downloads_at_once, settings.log_level))
        supervisor.start(sender(settings.webhooks_at_once, settings.log_level))
        await supervisor.run()


def main() -> int:
    """Return the exit status: 0 after a requested stop, 2 for a bad setting."""
    try:
        settings = Settings.from_env()
        metrics_folders.claim(settings.metrics_folder, "worker")
        asyncio.run(run(settings))
    except BadSetting as problem:
        print_error(problem)
        return 2
    return 0


if __name__ == "__main__":
    sys.exit(main())
