"""Fetch, validate and store the pictures of requests, and give them to identical ones."""

from celery import shared_task

from app.adapters.tasks import DOWNLOAD, REUSE
from worker.services import services


@shared_task(name=DOWNLOAD)
def run() -> None:
    """Run the downloads that are due and not claimed by another process."""
    services().ports.tasks.started(DOWNLOAD)
    services().download.run()


@shared_task(name=REUSE)
def reuse() -> None:
    """Resolve requests that follow one that has ended."""
    services().ports.tasks.started(REUSE)
    services().reuse.resolve_all()
