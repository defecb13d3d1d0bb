"""The periodic tasks, which beat sends."""

from celery import shared_task

from worker.services import services


@shared_task(name="housekeeping.sweep")
def sweep() -> None:
    """Resume work that a crash or a lost message interrupted, and handle what has expired."""
    if services().housekeeping.is_due():
        services().housekeeping.sweep()


@shared_task(name="housekeeping.tidy")
def tidy() -> None:
    """Remove pictures whose time is over, and delete files that no request needs."""
    services().removal.sweep()
    services().cleanup.sweep()
