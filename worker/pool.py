"""What a Celery worker does around its tasks: at its start, and in each process of its pool."""

from __future__ import annotations

import os
import sys
import warnings

from celery.signals import worker_init, worker_process_init

from app.config import Settings
from app.launch.checks import NotReady
from app.launch.parent import end_with_parent
from app.launch.schema import have_schema

WORKER = os.getpid()  # imported before the pool is forked, so this is the worker's id in its children too

# It warns root of messages that are programs (pickle). Ours are JSON.
warnings.filterwarnings("ignore", "You're running the worker with superuser privileges")


@worker_init.connect
def _find_the_schema(**_: object) -> None:
    """Tasks find their tables, whoever was started first. Where the database stays away we end, to be restarted."""
    try:
        have_schema(Settings.from_env())
    except NotReady as problem:
        sys.exit(str(problem))


@worker_process_init.connect
def _end_with_the_worker(**_: object) -> None:
    """A worker that is killed takes its children along; without this they wait for work for ever."""
    end_with_parent(WORKER)
