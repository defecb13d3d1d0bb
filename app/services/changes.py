"""The messages to watchers."""

from collections.abc import Mapping
from typing import Any

from app.db.batches import Batch
from app.db.jobs import Job
from app.domain.clock import wire_time


def change(job: Job) -> dict[str, Any]:
    """The message to watchers of a job: enough to show its status without a query."""
    return {
        "requestId": job.id,
        "status": job.status.value,
        "progress": job.progress,
        "message": job.progress_note,
        "version": job.version,
        "lastEvent": job.last_event,
        "timestamp": wire_time(job.updated_at),
    }


def change_of_batch(batch: Batch) -> dict[str, Any]:
    """The message to watchers of a batch."""
    return {
        "batchId": batch.id,
        "status": batch.status.value,
        "version": batch.version,
        "lastEvent": batch.last_event,
    }


def watched_id(change: Mapping[str, Any]) -> str:
    """The id of the job or batch that a message is about."""
    return str(change["batchId"] if "batchId" in change else change["requestId"])
