"""What beat wakes every few seconds."""

from __future__ import annotations

from celery_config import celery
from worker.house import house


@celery.task(name="housekeeping.sweep")
def sweep() -> None:
    """Find what a crash, a lost message or the passing of time left behind."""
    house().housekeeping.sweep()
    house().tidying.sweep()
