"""The event log of each request, numbered without gaps and written in the transaction of the change."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from sqlalchemy import Connection, insert, select

from app.db.engine import Transaction
from app.db.jobs import Job
from app.db.tables import events
from app.domain.events import Event
from app.domain.states import Status

_APPEND = insert(events)


@dataclass(frozen=True, slots=True)
class LoggedEvent:
    """An event in the log. `seq` counts 1, 2, 3 … within its request; `at` in ms since the epoch."""

    seq: int
    type: str
    status: str
    at: int
    data: Mapping[str, Any]


def append(tx: Transaction, job: Job, event: Event) -> None:
    """Append the event, with the sequence number and the time of the job's row."""
    tx.connection.execute(_APPEND, _row(job, event))


def append_first(tx: Transaction, first: Iterable[tuple[str, Event]]) -> None:
    """Append the first events of new requests, named by their ids, by one statement."""
    common = {"seq": 1, "status": Status.ACCEPTED.value, "at": tx.now}
    rows = [
        {"job_id": job_id, "type": type(event).__name__, "data": event.payload(), **common} for job_id, event in first
    ]
    tx.connection.execute(_APPEND, rows)


def append_all(tx: Transaction, changed: Sequence[tuple[Job, Event]]) -> None:
    """As `append`, for many jobs by one statement."""
    tx.connection.execute(_APPEND, [_row(job, event) for job, event in changed])


def after(connection: Connection, job_id: str, seq: int, last: int | None = None) -> list[LoggedEvent]:
    """The job's events after number `seq`, in order; up to number `last`, if given."""
    columns = (events.c.seq, events.c.type, events.c.status, events.c.at, events.c.data)
    query = select(*columns).where(events.c.job_id == job_id, events.c.seq > seq).order_by(events.c.seq)
    if last is not None:
        query = query.where(events.c.seq <= last)
    return [LoggedEvent(*row) for row in connection.execute(query)]


def _row(job: Job, event: Event) -> dict[str, Any]:
    return {
        "job_id": job.id,
        "seq": job.last_event,
        "type": type(event).__name__,
        "status": job.status.value,
        "at": job.updated_at,
        "data": event.payload(),
    }
