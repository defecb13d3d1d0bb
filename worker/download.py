"""Fetch, check and store the pictures of requests."""

from __future__ import annotations

from celery import shared_task

from app.adapters.tasks import DOWNLOAD
from worker.services import services


@shared_task(name=DOWNLOAD)
def run() -> None:
    """Do the downloads that are due and that no other process has claimed."""
    services().ports.tasks.started(DOWNLOAD)
    services().download.run()
