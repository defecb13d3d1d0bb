"""Fetch, validate and store the pictures of requests."""

from celery import shared_task

from app.adapters.tasks import DOWNLOAD
from worker.services import services


@shared_task(name=DOWNLOAD)
def run() -> None:
    """Run the downloads that are due and not claimed by another process."""
    services().ports.tasks.started(DOWNLOAD)
    services().download.run()
