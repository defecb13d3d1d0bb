"""What beat wakes again and again."""

from __future__ import annotations

from celery_config import SHORT_S, celery
from worker.services import services


@celery.task(name="housekeeping.sweep", time_limit=SHORT_S)
def sweep() -> None:
    """Find what a crash, a lost message or the passing of time left behind."""
    if services().housekeeping.is_due():
        services().housekeeping.sweep()


@celery.task(name="housekeeping.tidy", time_limit=SHORT_S)
def tidy() -> None:
    """Remove files that nobody will come for."""
    services().cleanup.sweep()
