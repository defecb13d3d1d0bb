"""Hand waiting requests to free extensions."""

from __future__ import annotations

from app.adapters.tasks import ASSIGN
from celery_config import celery
from worker.house import house


@celery.task(name=ASSIGN)
def assign() -> None:
    """Assign until nobody waits or nobody is free."""
    house().dispatch.assign_waiting()
