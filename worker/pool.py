"""What a Celery worker does around its tasks: at its start, in each process of its pool, and where it does them itself."""

from __future__ import annotations

import os
import signal
import sys
import warnings
from typing import Any

from celery import Task
from celery.signals import task_postrun, task_prerun, worker_init, worker_process_init

from app.config import Settings
from app.launch.checks import NotReady
from app.launch.parent_death import end_with_parent
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
    if os.getpid() != WORKER:
        end_with_parent(WORKER)


@task_prerun.connect
def _begin_to_count(task: Task[Any, Any], **_: object) -> None:
    """A pool ends what takes longer than its `time_limit` (s). Where there is none, the kernel ends the worker, whatever it is
    at; whoever watches over it starts it again."""
    if os.getpid() == WORKER:
        signal.setitimer(signal.ITIMER_REAL, task.time_limit or task.app.conf.task_time_limit)


@task_postrun.connect
def _count_no_more(**_: object) -> None:
    if os.getpid() == WORKER:
        signal.setitimer(signal.ITIMER_REAL, 0)
