"""Fetch, check and store the pictures of requests."""

from __future__ import annotations

from app.adapters.tasks import DOWNLOAD
from celery_config import celery
from worker.services import services


@celery.task(name=DOWNLOAD)
def run() -> None:
    """Carry out the downloads that are due and that nobody else is at."""
    services().download.run()
