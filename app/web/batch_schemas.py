"""Answers of the operations on batches."""

from collections.abc import Mapping
from dataclasses import asdict
from typing import Any, Self

from pydantic import Field

from app.db.jobs import Job
from app.domain.batches import BatchStatus, LeftOut
from app.domain.clock import wire_now, wire_time
from app.domain.states import Status
from app.domain.wire_types import Time, Uuid, WireModel
from app.services.batch_creation import AcceptedBatch
from app.services.batch_lookup import BatchDetails
from app.web.presenters import queue_position
from app.web.schemas import ItemProblem, QueuePosition


class Counts(WireModel):
    """How many items the batch has, and how many of them have which status."""

    total: int
    accepted: int
    processing: int
    downloading: int
    completed: int
    failed: int
    cancelled: int


class BatchAccepted(WireModel):
    """The batch is in the database."""

    batch_id: Uuid
    status: BatchStatus
    name: str | None = None
    counts: Counts
    concurrency: int
    queue: QueuePosition | None = Field(None, description="why the item waits that is handed out first")
    left_out: int | None = Field(None, description="with `partial`: how many items were left out, if any")
    errors: list[ItemProblem] | None = Field(None, description="the first 100 things that are wrong with them")
    created_at: Time
    correlation_id: str
    timestamp: Time

    @classmethod
    def of(cls, accepted: AcceptedBatch) -> Self:
        """The answer to a new batch; no item has been begun."""
        batch = accepted.batch
        return cls(
            batch_id=batch.id,
            status=batch.status,
            name=batch.name,
            counts=Counts(
                total=batch.total,
                accepted=batch.total - batch.ended,
                processing=0,
                downloading=0,
                completed=batch.completed,
                failed=batch.failed,
                cancelled=batch.cancelled,
            ),
            concurrency=batch.concurrency,
            queue=None if accepted.queue is None else queue_position(accepted.queue),
            **_left_out(accepted.left_out),
            created_at=wire_time(batch.created_at),
            correlation_id=batch.correlation_id,
            timestamp=wire_time(batch.updated_at),
        )


class BatchEta(WireModel):
    """When every item will have ended: probably (`p50`), and in nine of ten cases."""

    p50: Time
    p90: Time
    p50_seconds: int
    p90_seconds: int


class BatchState(WireModel):
    """A batch and how far it is."""

    batch_id: Uuid
    status: BatchStatus = Field(description="`completed`: every item has ended; the counts say how")
    name: str | None = None
    counts: Counts
    progress: int = Field(ge=0, le=100, description="percent of the items that have ended")
    concurrency: int
    defaults: Mapping[str, Any]
    failures: Mapping[str, int] = Field(description="how many items have failed with which code")
    eta: BatchEta | None = Field(None, description="while it runs, once items were completed")
    paused_at: Time | None = None
    paused_by: str | None = Field(None, description="the user who paused it")
    user_id: str
    left_out: int | None = Field(None, description="of items added with `partial`: how many were left out, if any")
    errors: list[ItemProblem] | None = Field(None, description="the first 100 things that are wrong with them")
    version: int = Field(description="increases with every change; send it as `since` to wait for the next one")
    created_at: Time
    updated_at: Time
    started_at: Time | None = Field(None, description="when its first item was handed out")
    finished_at: Time | None = None
    correlation_id: str
    timestamp: Time

    @classmethod
    def of(cls, details: BatchDetails, left_out: LeftOut | None = None) -> Self:
        """A batch as clients see it, perhaps with what was left out when items were added."""
        batch = details.batch
        return cls(
            batch_id=batch.id,
            status=batch.status,
            name=batch.name,
            counts=Counts(total=batch.total, **{status.value: count for status, count in details.counts.items()}),
            progress=100 * batch.ended // batch.total if batch.total else 0,
            concurrency=batch.concurrency,
            defaults=batch.defaults,
            failures=batch.failures,
            eta=_eta(details),
            paused_at=_time(batch.paused_at),
            paused_by=batch.paused_by,
            user_id=batch.user_id,
            **_left_out(left_out or LeftOut()),
            version=batch.version,
            created_at=wire_time(batch.created_at),
            updated_at=wire_time(batch.updated_at),
            started_at=_time(details.started_at),
            finished_at=_time(batch.finished_at),
            correlation_id=batch.correlation_id,
            timestamp=wire_now(),
        )


class BatchList(WireModel):
    """Batches, newest first."""

    batches: list[BatchState] = Field(description="each as in `GET /api/batches/{batchId}`, without `eta`")
    next_cursor: str | None = Field(None, description="send it as `cursor` for the next page; absent on the last one")
    timestamp: Time


class Item(WireModel):
    """An item of a batch; of several requests that tried the same one, the newest."""

    index: int = Field(ge=1)
    custom_id: str | None = None
    request_id: Uuid
    status: Status
    prompt: str
    original_prompt: str | None = Field(None, description="with a style: the prompt as it was sent")
    model: str
    progress: int = Field(ge=0, le=100, description="percent")
    code: str | None = Field(None, description="why it failed, for programs")
    error: str | None = Field(None, description="why it failed, in a sentence")
    retry_of: Uuid | None = Field(None, description="the request that this one tries again")
    updated_at: Time

    @classmethod
    def of(cls, job: Job) -> Self:
        """A request as an item."""
        return cls(
            index=job.batch_index or 0,
            custom_id=job.custom_id,
            request_id=job.id,
            status=job.status,
            prompt=job.prompt,
            original_prompt=job.original_prompt,
            model=job.model,
            progress=job.progress,
            code=job.error_code,
            error=job.error,
            retry_of=job.retry_of,
            updated_at=wire_time(job.updated_at),
        )


class ItemList(WireModel):
    """Items in their order."""

    items: list[Item]
    next_cursor: int | None = Field(None, description="send it as `cursor` for the next page; absent on the last one")
    timestamp: Time


class StreamedBatchEvent(WireModel):
    """An event of a batch, as its stream sends it."""

    type: str
    batch_id: Uuid
    seq: int = Field(ge=1, description="the event's number, the same as `id`")
    timestamp: Time
    data: Mapping[str, Any]


def _left_out(left_out: LeftOut) -> dict[str, Any]:
    errors = [ItemProblem(**asdict(error)) for error in left_out.errors]
    return {"left_out": left_out.count or None, "errors": errors or None}


def _time(at: int | None) -> str | None:
    return None if at is None else wire_time(at)


def _eta(details: BatchDetails) -> BatchEta | None:
    expected = details.estimate
    if expected is None:
        return None
    return BatchEta(
        p50=wire_time(details.at + expected.p50_ms),
        p90=wire_time(details.at + expected.p90_ms),
        p50_seconds=expected.p50_ms // 1000,
        p90_seconds=expected.p90_ms // 1000,
    )
