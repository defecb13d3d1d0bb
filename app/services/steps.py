"""The only way to take a step: the compare-and-set of the job, its event, the slot it frees, and the message to watchers."""

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from app import logs
from app.db import events, job_inputs, jobs, slots
from app.db.engine import Transaction
from app.db.jobs import Job
from app.domain.events import Event
from app.domain.states import FINAL, TABLE, Step
from app.services import batch_changes, webhook_events
from app.services.changes import change
from app.services.ports import Ports

# After these its batch looks at an item, as after its end: it may have to be held or released.
_MOVES_ITEMS = {Step.REQUEUE, Step.FOLLOW}

log = logs.get(__name__)


def take(
    ports: Ports,
    tx: Transaction,
    step: Step,
    job_id: str,
    expected: Mapping[str, Any] | None = None,
    *,
    event: Event | Callable[[Job], Event] | None = None,
    was_held_by: str | None = None,
    **values: Any,
) -> Job | None:
    """Take `step` if it is possible; None if it is not, because another process was faster or the lease is lost.

    `expected` are the values that columns must still have (see `jobs.move`).
    `event` must be of the step's type in `states.TABLE`, and is stored in the same transaction. A function is called with
    the changed job.
    `was_held_by` is the extension whose slot the step frees.
    """
    if not callable(event):
        _check(step, event)
    job = jobs.move(tx, job_id, step, expected, **values)
    if job is None:
        return None
    logged = event
    if callable(logged):
        logged = logged(job)
        _check(step, logged)
    if logged is not None:
        events.append(tx, job, logged)
    if job.notify:
        webhook_events.of_job(ports, tx, step, job)
    if was_held_by is not None:
        slots.recount(tx, was_held_by)
    _follow_up(ports, tx, step, job)
    return job


def take_all(
    ports: Ports, tx: Transaction, step: Step, found: Sequence[Job], event: Callable[[Job], Event], **values: Any
) -> None:
    """As `take`, with many jobs that the transaction has just found and locked. No extension holds them."""
    changed = [(job, event(job)) for job in jobs.move_all(tx, found, step, **values)]
    if not changed:
        return
    for job, logged in changed:
        _check(step, logged)
        _follow_up(ports, tx, step, job)
    events.append_all(tx, changed)
    webhook_events.of_jobs(ports, tx, step, [job for job, _ in changed])


def _follow_up(ports: Ports, tx: Transaction, step: Step, job: Job) -> None:
    if job.batch_id is not None and (step in _MOVES_ITEMS or TABLE[step].ends):
        batch_changes.item_moved(ports, tx, job)
    tx.after_commit(lambda: ports.metrics.job_moved(step, job))
    if step is not Step.FETCH:  # it changes nothing that watchers see
        tx.after_commit(lambda: ports.bus.publish_change(change(job)))
    if job.operation and TABLE[step].ends:
        job_inputs.end(tx, job.id)
    if job.followed and job.status in FINAL:
        tx.after_commit(ports.tasks.reuse)
    if TABLE[step].event is not None:
        tx.after_commit(lambda: _log_change(step, job))


def _check(step: Step, event: Event | None) -> None:
    expected = TABLE[step].event
    if (None if event is None else type(event)) is not expected:
        raise TypeError(f"{step} is stored with {expected}, not {type(event)}")


def _log_change(step: Step, job: Job) -> None:
    log.info(
        "A request changed",
        action=step.value,
        request_id=job.id,
        correlation_id=job.correlation_id,
        status=job.status.value,
        extension_id=job.holder,
        code=job.error_code,
    )
