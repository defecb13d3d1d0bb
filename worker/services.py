"""The services, once for each process of the pool; the correlation id of a message, for the logs of its task."""

from __future__ import annotations

import gc
from functools import cache
from typing import Any

from celery import Task
from celery.signals import task_postrun, task_prerun

from app import logs
from app.adapters.envelopes import CORRELATION_HEADER
from app.config import Settings
from app.container import Services, build, real_ports


@cache
def services() -> Services:
    """This process's services. Made at the first task, so that no connection is shared with the process forked from.

    What was loaded by then stays, and is not looked through for garbage any more: no hand-off waits for that.
    """
    settings = Settings.from_env()
    logs.configure(settings.log_level)
    made = build(real_ports(settings))
    gc.collect()
    gc.freeze()
    return made


@task_prerun.connect
def _take_correlation_id(task: Task[Any, Any], **_: object) -> None:
    given = getattr(task.request, CORRELATION_HEADER, None)
    logs.correlation_id.set(given if logs.well_formed(given) else None)


@task_postrun.connect
def _drop_correlation_id(**_: object) -> None:
    logs.correlation_id.set(None)
