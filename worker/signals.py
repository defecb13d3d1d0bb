"""What a Celery worker does around its tasks: at its start, in each process of its pool, and for the logs of each task."""

from __future__ import annotations

import os
import sys
import warnings
from typing import Any

from celery import Task
from celery.signals import task_postrun, task_prerun, worker_init, worker_process_init
from structlog.contextvars import bind_contextvars, clear_contextvars

from app import logs
from app.adapters.tasks import CORRELATION_HEADER
from app.config import Settings
from app.launch.checks import NotReady
from app.launch.parent_death import end_with_parent
from app.launch.schema import migrate_when_reachable

WORKER = os.getpid()  # imported before the pool is forked, so this is the worker's id in its children too

# Celery warns root of messages that are programs (pickle). Ours are JSON.
warnings.filterwarnings("ignore", "You're running the worker with superuser privileges")


@worker_init.connect
def _migrate(**_: object) -> None:
    """Tasks find their tables, whichever process is started first. Where the database stays away, the worker exits and is
    started again."""
    try:
        migrate_when_reachable(Settings.from_env())
    except NotReady as problem:
        sys.exit(str(problem))


@worker_process_init.connect
def _end_with_the_worker(**_: object) -> None:
    """A worker that is killed takes its children along; without this they wait for work for ever."""
    end_with_parent(WORKER)


@task_prerun.connect
def _set_correlation_id(task: Task[Any, Any], **_: object) -> None:
    """The logs of a task carry the correlation id of the request that sent it."""
    given = (task.request.headers or {}).get(CORRELATION_HEADER)
    clear_contextvars()
    if logs.well_formed(given):
        bind_contextvars(correlation_id=given)


@task_postrun.connect
def _clear_correlation_id(**_: object) -> None:
    clear_contextvars()
