"""What webhooks are told: the rows of an event's deliveries, written in the transaction of the event."""

from collections.abc import Mapping, Sequence
from typing import Any

from app.db import webhook_deliveries, webhooks
from app.db.batches import Batch
from app.db.engine import Transaction
from app.db.jobs import Job
from app.db.webhook_deliveries import Occurrence
from app.domain.batches import BatchStatus
from app.domain.states import FINAL, Status, Step
from app.domain.webhooks import WebhookEvent, event_of
from app.services.batch_lookup import BatchDetails, details_of
from app.services.ports import Ports

# what a request is told to be that was just accepted
ACCEPTED = {"status": Status.ACCEPTED.value, "progress": 0, "progress_note": None, "version": 1}


def of_job(ports: Ports, tx: Transaction, step: Step, job: Job) -> None:
    """Have the step sent to the webhooks that want it. Call it if `job.notify` says that there are any."""
    event = event_of(step)
    if event is not None:
        occurrence = Occurrence(event, job.id, job.user_id, job.version, job.updated_at, snapshot(job), job.batch_id)
        _send(ports, tx, occurrence, is_last=job.status in FINAL)


def of_jobs(ports: Ports, tx: Transaction, step: Step, jobs: Sequence[Job]) -> None:
    """The same for many jobs, of which it is not known yet whether webhooks want the step."""
    event = event_of(step)
    if event is None:
        return
    users = webhooks.users_who_want(tx.connection, event, {job.user_id for job in jobs})
    for job in jobs:
        if job.user_id in users:
            of_job(ports, tx, step, job)


def of_batch(ports: Ports, tx: Transaction, before: Batch, batch: Batch) -> None:
    """Have it sent that another tenth of the batch has ended, or all of it, if this change did that."""
    event = _event_of_batch(before, batch)
    if event is None or not webhooks.users_who_want(tx.connection, event, [batch.user_id]):
        return
    details = details_of(tx.connection, batch)
    told = {"batch": batch._asdict(), "counts": details.counts, "startedAt": details.started_at}
    occurrence = Occurrence(event, batch.id, batch.user_id, batch.version, batch.updated_at, told)
    _send(ports, tx, occurrence, is_last=event is WebhookEvent.BATCH_COMPLETED)


def restored(snapshot: Mapping[str, Any]) -> BatchDetails:
    """The batch of a snapshot that `of_batch` has made."""
    batch = Batch(**{**snapshot["batch"], "status": BatchStatus(snapshot["batch"]["status"])})
    counts = {Status(status): count for status, count in snapshot["counts"].items()}
    return BatchDetails(batch, counts, snapshot["startedAt"])


def items_accepted(ports: Ports, tx: Transaction, batch: Batch, first_id: str) -> None:
    """Have it sent that the items of the batch with this id and later ones were accepted. Call it if a webhook may want that."""
    if webhook_deliveries.add_items(tx, batch.id, batch.user_id, first_id, ACCEPTED):
        tx.after_commit(ports.tasks.deliver)


def _event_of_batch(before: Batch, batch: Batch) -> WebhookEvent | None:
    if batch.finished_at is not None:
        return WebhookEvent.BATCH_COMPLETED if before.finished_at is None else None
    return WebhookEvent.BATCH_PROGRESS if _tenths(batch) > _tenths(before) else None


def _tenths(batch: Batch) -> int:
    return 10 * batch.ended // batch.total if batch.total else 0


def snapshot(job: Job) -> dict[str, Any]:
    """The columns that a later step changes. The row of a final request tells everything itself."""
    if job.status in FINAL:
        return {}
    return {
        "status": job.status.value,
        "progress": job.progress,
        "progress_note": job.progress_note,
        "model": job.model,
        "follows": job.follows,
        "cached_from": job.cached_from,
        "version": job.version,
        "updated_at": job.updated_at,
    }


def _send(ports: Ports, tx: Transaction, occurrence: Occurrence, *, is_last: bool) -> None:
    if webhook_deliveries.add(tx, occurrence, is_last=is_last):
        tx.after_commit(ports.tasks.deliver)
