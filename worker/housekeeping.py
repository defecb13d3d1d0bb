"""The periodic tasks, which beat sends."""

import time
from collections.abc import Iterator
from contextlib import contextmanager

from celery import shared_task

from worker.services import services


@shared_task(name="housekeeping.sweep")
def sweep() -> None:
    """Resume work that a crash or a lost message interrupted, and handle what has expired."""
    if services().housekeeping.is_due():
        with _timed("sweep"):
            services().housekeeping.sweep()


@shared_task(name="housekeeping.tidy")
def tidy() -> None:
    """Remove pictures whose time is over, and delete files that no request needs."""
    with _timed("tidy"):
        services().removal.sweep()
        services().cleanup.sweep()


@contextmanager
def _timed(name: str) -> Iterator[None]:
    began = time.monotonic()
    yield
    services().ports.metrics.swept(name, time.monotonic() - began)
