"""Batches and their event log. A batch is locked after the jobs that a transaction changes, and never before."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

from sqlalchemy import Connection, Row, bindparam, exists, func, insert, select, update

from app.db import pauses
from app.db.engine import Transaction
from app.db.tables import ACCEPTED, HELD_BACK, RELEASED, batch_events, batches, jobs
from app.domain.batches import BatchStatus
from app.domain.events import Event
from app.domain.pauses import PauseKind


class Batch(NamedTuple):
    """A batch as it was when it was read. Times in ms since the epoch; see `tables.batches` for the meanings."""

    id: str
    user_id: str
    correlation_id: str
    name: str | None
    status: BatchStatus
    concurrency: int
    defaults: Mapping[str, Any]
    total: int
    completed: int
    failed: int
    cancelled: int
    failures: Mapping[str, int]
    version: int
    last_event: int
    paused_at: int | None
    paused_by: str | None
    created_at: int
    updated_at: int
    started_at: int | None
    finished_at: int | None

    @property
    def ended(self) -> int:
        """How many items have ended."""
        return self.completed + self.failed + self.cancelled


@dataclass(frozen=True, slots=True)
class LoggedBatchEvent:
    """An event in the log. `seq` counts 1, 2, 3 … within its batch; `at` in ms since the epoch."""

    seq: int
    type: str
    at: int
    data: Mapping[str, Any]


COLUMNS = [batches.c[name] for name in Batch._fields]
_STATUS = Batch._fields.index("status")
_UNFINISHED = batches.c.finished_at.is_(None)
_THIS = batches.c.id == bindparam("batch_id")
_FIND = select(*COLUMNS).where(_THIS)
_LOCK = _FIND.with_for_update()
_WRITTEN = [name for name in Batch._fields if name not in {"id", "user_id", "correlation_id", "created_at"}]
_UPDATE = update(batches).where(_THIS).values({name: bindparam(f"new_{name}") for name in _WRITTEN})
_EVENT_COLUMNS = [batch_events.c[name] for name in ("seq", "type", "at", "data")]
_ITEM = jobs.c.batch_id == batches.c.id
_released = select(func.count()).select_from(jobs).where(RELEASED, _ITEM).correlate(batches).scalar_subquery()
_NEGLECTED = (
    select(batches.c.id)
    .where(
        _UNFINISHED,
        (batches.c.status == BatchStatus.CANCELLED)
        | ((batches.c.status == BatchStatus.PAUSED) & exists().where(RELEASED, ACCEPTED, _ITEM))
        | (
            (batches.c.status == BatchStatus.RUNNING)
            & exists().where(HELD_BACK, _ITEM)
            & (_released < batches.c.concurrency)
            & ~pauses.paused(PauseKind.USER, batches.c.user_id)
        ),
    )
    .order_by(batches.c.id)
    .limit(bindparam("limit"))
)


def add(tx: Transaction, batch: Batch) -> None:
    """Insert a new batch."""
    tx.connection.execute(insert(batches), batch._asdict())


def find(connection: Connection, batch_id: str) -> Batch | None:
    row = connection.execute(_FIND, {"batch_id": batch_id}).first()
    return None if row is None else _from_row(row)


def find_all(connection: Connection, batch_ids: Iterable[str]) -> list[Batch]:
    """The batches with these ids that exist."""
    return [_from_row(row) for row in connection.execute(select(*COLUMNS).where(batches.c.id.in_(list(batch_ids))))]


def lock(tx: Transaction, batch_id: str) -> Batch | None:
    """The batch, locked until the transaction ends. No job that another transaction may have locked is waited for after this."""
    row = tx.connection.execute(_LOCK, {"batch_id": batch_id}).first()
    return None if row is None else _from_row(row)


def save(tx: Transaction, batch: Batch) -> None:
    """Write the batch, which this transaction has locked."""
    values = {f"new_{name}": getattr(batch, name) for name in _WRITTEN}
    tx.connection.execute(_UPDATE, {"batch_id": batch.id, **values})


def page(connection: Connection, user_id: str | None, before: str | None, limit: int) -> list[Batch]:
    """A user's batches, or those of all users (None), newest first; `before` is the id where the last page ended."""
    query = select(*COLUMNS).order_by(batches.c.id.desc()).limit(limit)
    if user_id is not None:
        query = query.where(batches.c.user_id == user_id)
    if before is not None:
        query = query.where(batches.c.id < before)
    return [_from_row(row) for row in connection.execute(query)]


def neglected(connection: Connection, limit: int) -> list[str]:
    """Batches of which something is left to do: items to release, to hold, or to cancel."""
    return list(connection.execute(_NEGLECTED, {"limit": limit}).scalars())


def append_events(tx: Transaction, batch_id: str, first: int, at: int, events: Sequence[Event]) -> None:
    """Append the events, numbered from `first`."""
    rows = [
        {"batch_id": batch_id, "seq": seq, "type": type(event).__name__, "at": at, "data": event.payload()}
        for seq, event in enumerate(events, first)
    ]
    if rows:
        tx.connection.execute(insert(batch_events), rows)


def events_after(connection: Connection, batch_id: str, seq: int, last: int, limit: int) -> list[LoggedBatchEvent]:
    """The batch's events after number `seq` and up to number `last`, in order."""
    query = select(*_EVENT_COLUMNS).where(
        batch_events.c.batch_id == batch_id, batch_events.c.seq > seq, batch_events.c.seq <= last
    )
    return [LoggedBatchEvent(*row) for row in connection.execute(query.order_by(batch_events.c.seq).limit(limit))]


def _from_row(row: Row[Any]) -> Batch:
    values = list(row)
    values[_STATUS] = BatchStatus(values[_STATUS])
    return Batch._make(values)
