"""The periodic tasks: beat sends them."""

from __future__ import annotations

from celery import shared_task

from app.adapters.celery_app import SHORT_S
from worker.services import services


@shared_task(name="housekeeping.sweep", time_limit=SHORT_S)
def sweep() -> None:
    """Find what a crash, a lost message or the passing of time left behind."""
    if services().housekeeping.is_due():
        services().housekeeping.sweep()


@shared_task(name="housekeeping.tidy", time_limit=SHORT_S)
def tidy() -> None:
    """Remove files that no request needs."""
    services().cleanup.sweep()
