"""Hand waiting requests to free extensions."""

from __future__ import annotations

from app.adapters.tasks import ASSIGN
from celery_config import SHORT_S, celery
from worker.services import services


@celery.task(name=ASSIGN, time_limit=SHORT_S)
def assign() -> None:
    """Assign until nobody waits or nobody is free."""
    services().dispatch.assign_waiting()
