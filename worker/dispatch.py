"""Hand waiting requests to free extensions."""

from celery import shared_task

from app.adapters.tasks import ASSIGN
from worker.services import services


@shared_task(name=ASSIGN)
def assign() -> None:
    """Assign requests until none is waiting or no extension is free."""
    services().ports.tasks.started(ASSIGN)
    services().dispatch.assign_waiting()
