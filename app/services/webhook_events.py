"""What webhooks are told: the rows of an event's deliveries, written in the transaction of the event."""

from collections.abc import Mapping, Sequence
from typing import Any

from app.db import webhook_deliveries, webhooks
from app.db.engine import Transaction
from app.db.jobs import Job
from app.db.webhook_deliveries import Occurrence
from app.domain.states import FINAL, Step
from app.domain.webhooks import WebhookEvent, event_of
from app.services.ports import Ports


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


def of_batch(
    ports: Ports,
    tx: Transaction,
    event: WebhookEvent,
    batch_id: str,
    user_id: str,
    version: int,
    at_ms: int,
    answer: Mapping[str, Any],
) -> None:
    """Have an event of a batch sent; `answer` is what `GET` answers about the batch at this moment."""
    occurrence = Occurrence(event, batch_id, user_id, version, at_ms, answer)
    _send(ports, tx, occurrence, is_last=event is WebhookEvent.BATCH_COMPLETED)


def snapshot(job: Job) -> dict[str, Any]:
    """The columns that a later step changes. The row of a final request tells everything itself."""
    if job.status in FINAL:
        return {}
    return {
        "status": job.status.value,
        "progress": job.progress,
        "progress_note": job.progress_note,
        "model": job.model,
        "version": job.version,
        "updated_at": job.updated_at,
    }


def _send(ports: Ports, tx: Transaction, occurrence: Occurrence, *, is_last: bool) -> None:
    if webhook_deliveries.add(tx, occurrence, is_last=is_last):
        tx.after_commit(ports.tasks.deliver)
