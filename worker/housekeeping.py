"""What beat wakes again and again."""

from __future__ import annotations

from celery_config import SHORT_S, celery
from worker.house import house


@celery.task(name="housekeeping.sweep", time_limit=SHORT_S)
def sweep() -> None:
    """Find what a crash, a lost message or the passing of time left behind."""
    if house().housekeeping.is_due():
        house().housekeeping.sweep()


@celery.task(name="housekeeping.tidy", time_limit=SHORT_S)
def tidy() -> None:
    """Remove files that nobody will come for."""
    house().tidying.sweep()
