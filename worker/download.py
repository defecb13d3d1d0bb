"""Fetch, check and store the pictures of a request."""

from __future__ import annotations

from app.adapters.tasks import DOWNLOAD
from celery_config import celery
from worker.house import house


@celery.task(name=DOWNLOAD)
def run(request_id: str) -> None:
    """Carry out the download, where it is due and nobody else is at it."""
    house().download.run(request_id)
