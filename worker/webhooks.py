"""Send events to webhooks."""

from celery import shared_task

from app.adapters.tasks import DELIVER
from app.web.webhook_payloads import renderer
from worker.services import services


@shared_task(name=DELIVER)
def deliver() -> None:
    """Send what is due and not claimed by another process."""
    built = services()
    built.ports.tasks.started(DELIVER)
    built.webhook_delivery.run(renderer(built))
