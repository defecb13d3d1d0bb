"""The single door through which a job changes: the move, its event, the slot it frees, and the word to watchers."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from app import logs
from app.db import events, jobs, slots
from app.db.engine import Transaction
from app.db.jobs import Job
from app.domain.clock import wire_time
from app.domain.events import Event
from app.domain.states import TABLE, Step
from app.services.ports import Ports

log = logs.get(__name__)


def take(
    ports: Ports,
    tx: Transaction,
    step: Step,
    job_id: str,
    held: Mapping[str, Any] | None = None,
    *,
    event: Event | Callable[[Job], Event] | None = None,
    was_held_by: str | None = None,
    **values: Any,
) -> Job | None:
    """Take `step` if it can be taken now; None where it cannot, because someone was faster or the lease is lost.

    `held` says how its columns still have to be (see `jobs.move`).
    `event` must be of the type that the table names for the step, and is stored in the same transaction; where it tells
    what only the row knows, it is made of the job as it is now.
    `was_held_by` names the extension whose slot the step frees.
    """
    if not callable(event):
        _check(step, event)
    job = jobs.move(tx, job_id, step, held, **values)
    if job is None:
        return None
    fact = event
    if callable(fact):
        fact = fact(job)
        _check(step, fact)
    if fact is not None:
        events.append(tx, job, fact)
    if was_held_by is not None:
        slots.recount(tx, was_held_by)
    if step is not Step.FETCH:  # which looks the same to those who watch
        tx.after_commit(lambda: ports.bus.publish_change(change(job)))
    if fact is not None:
        tx.after_commit(lambda: _tell_the_log(step, job))
    return job


def _check(step: Step, fact: Event | None) -> None:
    expected = TABLE[step].event
    if (None if fact is None else type(fact)) is not expected:
        raise TypeError(f"{step} is stored with {expected}, not {type(fact)}")


def _tell_the_log(step: Step, job: Job) -> None:
    log.info(
        "A request changed",
        action=step.value,
        request_id=job.id,
        correlation_id=job.correlation_id,
        status=job.status.value,
        extension_id=job.holder,
        code=job.error_code,
        error=job.error,
    )


def change(job: Job) -> dict[str, Any]:
    """What watchers are told of a job: enough to show its status without asking the database."""
    return {
        "requestId": job.id,
        "status": job.status.value,
        "progress": job.progress,
        "message": job.progress_note,
        "version": job.version,
        "lastEvent": job.last_event,
        "timestamp": wire_time(job.updated_at),
    }
