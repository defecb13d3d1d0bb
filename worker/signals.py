"""Signal handlers of Celery workers: at their start, in each pool process, and for each task."""

import os
import socket
import sys
import warnings
from contextlib import suppress
from functools import cache
from typing import Any

import redis
from celery import Task, current_app
from celery.signals import heartbeat_sent, task_postrun, task_prerun, worker_init, worker_process_init
from structlog.contextvars import bind_contextvars, clear_contextvars

from app import logs
from app.adapters import worker_heartbeats
from app.adapters.redis_clients import redis_client
from app.adapters.tasks import CORRELATION_HEADER
from app.config import Settings
from app.launch.checks import NotReady
from app.launch.parent_death import end_with_parent
from app.launch.schema import migrate_when_reachable
from app.launch.storage import check_storage

STANDARD_OUTPUT = 1
WORKER = os.getpid()  # imported before the fork, so pool processes see the id of their worker

# Celery warns root about pickled messages. This service uses JSON.
warnings.filterwarnings("ignore", "You're running the worker with superuser privileges")


@worker_init.connect
def _migrate(**_: object) -> None:
    """Check and migrate before the first task. What stays unreachable ends the worker, which is restarted."""
    settings = Settings.from_env()
    try:
        check_storage(settings)
        migrate_when_reachable(settings)
    except NotReady as problem:
        sys.exit(str(problem))


@worker_init.connect
def _discard_standard_output(**_: object) -> None:
    """Celery prints its signal handlers' hints there ("Warm shutdown", "Hitting Ctrl+C again …"), past all logging.

    Logs are written to standard error.
    """
    null = os.open(os.devnull, os.O_WRONLY)
    os.dup2(null, STANDARD_OUTPUT)
    os.close(null)


@worker_process_init.connect
def _end_with_worker(**_: object) -> None:
    """End the pool process when its worker is killed; otherwise it would wait for work for ever."""
    end_with_parent(WORKER)


@heartbeat_sent.connect
def _note_heartbeat(**_: object) -> None:
    """Show that this worker is connected and takes tasks. The next heartbeat makes up for one that is lost."""
    with suppress(redis.RedisError):
        queues = current_app.amqp.queues.consume_from
        worker_heartbeats.beat(_heartbeat_client(), queues, f"{socket.gethostname()}, process {os.getpid()}")


@cache
def _heartbeat_client() -> redis.Redis:
    """Of the worker itself: it may not be shared with the processes of its pool."""
    return redis_client(Settings.from_env().redis_url)


@task_prerun.connect
def _set_correlation_id(task: Task[Any, Any], **_: object) -> None:
    """Add the correlation id of the request that sent the task to the task's logs."""
    correlation_id = (task.request.headers or {}).get(CORRELATION_HEADER)
    clear_contextvars()
    if logs.well_formed(correlation_id):
        bind_contextvars(correlation_id=correlation_id)


@task_postrun.connect
def _clear_correlation_id(**_: object) -> None:
    clear_contextvars()
