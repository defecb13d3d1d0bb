"""The event log of each request, numbered without gaps and written in the transaction of the change."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from sqlalchemy import Connection, insert, select

from app.db.engine import Transaction
from app.db.jobs import Job
from app.db.tables import events
from app.domain.events import Event

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
    row = {
        "job_id": job.id,
        "seq": job.last_event,
        "type": type(event).__name__,
        "status": job.status.value,
        "at": job.updated_at,
        "data": event.payload(),
    }
    tx.connection.execute(_APPEND, row)


def after(connection: Connection, job_id: str, seq: int, last: int | None = None) -> list[LoggedEvent]:
    """The job's events after number `seq`, in order; up to number `last`, if given."""
    columns = (events.c.seq, events.c.type, events.c.status, events.c.at, events.c.data)
    query = select(*columns).where(events.c.job_id == job_id, events.c.seq > seq).order_by(events.c.seq)
    if last is not None:
        query = query.where(events.c.seq <= last)
    return [LoggedEvent(*row) for row in connection.execute(query)]
