"""What is sent to webhooks, one row for each event and webhook, written in the transaction of the event."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, NamedTuple

from sqlalchemy import Connection, Row, bindparam, case, delete, literal, or_, select, update
from sqlalchemy.sql import Select

from app.db.clock import statement_now_ms
from app.db.engine import Transaction
from app.db.tables import jobs
from app.db.webhook_tables import FINISHED, LATEST, PENDING, webhook_deliveries, webhook_endpoints
from app.domain.webhooks import PROGRESS_INTERVAL_MS, REPLACEABLE, WebhookEvent

_C = webhook_deliveries.c
_E = webhook_endpoints.c
NOW = statement_now_ms()


@dataclass(frozen=True, slots=True)
class Occurrence:
    """An event of a request or batch. `sequence` is the version of its row after the event, `at` its time (ms).

    `snapshot` are the fields of the answer that the rows will not tell later; `batch_id` is that of a request's batch.
    """

    type: WebhookEvent
    subject_id: str
    user_id: str
    sequence: int
    at: int
    snapshot: Mapping[str, Any]
    batch_id: str | None = None

    @property
    def event_id(self) -> str:
        """The same for every webhook and every attempt."""
        return f"evt_{self.subject_id}_{self.sequence}"


class Delivery(NamedTuple):
    """A delivery as it is listed. Times in ms since the epoch."""

    id: int
    endpoint_id: str
    subject_id: str | None
    event_id: str
    type: WebhookEvent
    sequence: int
    occurred_at: int
    status: str
    attempts: int
    due_at: int
    lease: str | None
    attempted_at: int | None
    duration_ms: int | None
    response_status: int | None
    response_body: str | None
    error: str | None
    finished_at: int | None


_COLUMNS = [_C[name] for name in Delivery._fields]
_LISTED = select(*_COLUMNS)
_NEW = ("endpoint_id", "host", "subject_id", "event_id", "type", "sequence", "occurred_at", "snapshot")
_INSERTED = (*_NEW, "status", "attempts", "due_at", "created_at")


_OF_EVENT = _E.scope.in_(["", bindparam("of_subject"), bindparam("of_batch")]) & (_E.user_id == bindparam("of_user"))


def _rows() -> Select[Any]:
    """A row for each webhook that wants the event."""
    values = [bindparam(f"new_{name}", type_=_C[name].type) for name in _NEW[2:]]
    chosen = select(_E.id, _E.host, *values, literal("pending"), literal(0), NOW, NOW)
    return chosen.where(_OF_EVENT, _E.enabled, _E.events.bitwise_and(bindparam("bit")) != 0)


_ROWS = _rows()
_SKIP_PROGRESS = (
    update(webhook_deliveries)
    .where(
        _C.endpoint_id.in_(select(_E.id).where(_OF_EVENT)),
        _C.subject_id == bindparam("of_subject"),
        PENDING,
        LATEST,
        _C.lease.is_(None),
    )
    .values(status="replaced", finished_at=NOW)
)


def add(tx: Transaction, occurrence: Occurrence, *, is_last: bool) -> bool:
    """Have the event sent to every webhook that wants it; False if none does.

    `is_last` is True for the last event of its subject, which replaces progress that was not sent yet.
    """
    scopes = {
        "of_user": occurrence.user_id,
        "of_subject": occurrence.subject_id,
        "of_batch": occurrence.batch_id or "",
    }
    if is_last:
        tx.connection.execute(_SKIP_PROGRESS, scopes)
    values = {
        **scopes,
        "bit": occurrence.type.bit,
        "new_subject_id": occurrence.subject_id,
        "new_event_id": occurrence.event_id,
        "new_type": occurrence.type.value,
        "new_sequence": occurrence.sequence,
        "new_occurred_at": occurrence.at,
        "new_snapshot": dict(occurrence.snapshot),
    }
    insert: Any = tx.upsert(webhook_deliveries).from_select(list(_INSERTED), _ROWS)
    if occurrence.type in REPLACEABLE:
        insert = _replacing(insert)
    inserted = insert.execution_options(preserve_rowcount=True)
    return tx.connection.execute(inserted, values).rowcount > 0


_ITEM_EVENT = literal("evt_") + jobs.c.id + literal("_1")
_ITEMS = (
    select(
        _E.id,
        _E.host,
        jobs.c.id,
        _ITEM_EVENT,
        literal(WebhookEvent.ACCEPTED.value),
        literal(1),
        jobs.c.created_at,
        bindparam("new_snapshot", type_=_C.snapshot.type),
        literal("pending"),
        literal(0),
        NOW,
        NOW,
    )
    .select_from(jobs.join(webhook_endpoints, _E.user_id == jobs.c.user_id))
    .where(
        jobs.c.batch_id == bindparam("of_batch"),
        jobs.c.batch_id.is_not(None),
        jobs.c.replaced_by.is_(None),
        jobs.c.id >= bindparam("first_id"),
        _E.user_id == bindparam("of_user"),
        _E.scope.in_(["", bindparam("of_batch")]),
        _E.enabled,
        _E.events.bitwise_and(WebhookEvent.ACCEPTED.bit) != 0,
    )
    .order_by(jobs.c.batch_index)
)


def add_items(tx: Transaction, batch_id: str, user_id: str, first_id: str, snapshot: Mapping[str, Any]) -> bool:
    """Have it sent that the items of a batch were accepted, from this id on; False if no webhook wants that."""
    values = {"of_batch": batch_id, "of_user": user_id, "first_id": first_id, "new_snapshot": dict(snapshot)}
    insert = webhook_deliveries.insert().from_select(list(_INSERTED), _ITEMS).execution_options(preserve_rowcount=True)
    return tx.connection.execute(insert, values).rowcount > 0


def _replacing(insert: Any) -> Any:
    """The newest progress takes the row of the one before it, at most once a second.

    While a worker sends that one, the end of its claim stays; it finds then that there is a newer one.
    """
    new = insert.excluded
    soonest = _C.attempted_at + PROGRESS_INTERVAL_MS
    changed = {name: new[name] for name in ("event_id", "sequence", "occurred_at", "snapshot", "status", "attempts")}
    due_at = case((_C.lease.is_not(None), _C.due_at), (soonest > new.due_at, soonest), else_=new.due_at)
    return insert.on_conflict_do_update(
        index_elements=[_C.endpoint_id, _C.subject_id],
        index_where=LATEST,
        set_={**changed, "due_at": due_at, "finished_at": None, "error": None},
    )


def add_test(tx: Transaction, endpoint_id: str, host: str, event_id: str) -> Delivery:
    """Have a test event sent to this webhook."""
    values = {
        "endpoint_id": endpoint_id,
        "host": host,
        "event_id": event_id,
        "type": WebhookEvent.TEST.value,
        "sequence": 1,
        "occurred_at": tx.now,
        "snapshot": {"webhookId": endpoint_id},
        "due_at": tx.now,
        "created_at": tx.now,
    }
    inserted = tx.connection.execute(webhook_deliveries.insert().values(values).returning(*_COLUMNS))
    return listed(inserted.one())


def page(
    connection: Connection, endpoint_id: str, status: str | None, before: int | None, limit: int
) -> list[Delivery]:
    """The deliveries of a webhook, newest first; `before` is the id where the last page ended."""
    query = _LISTED.where(_C.endpoint_id == endpoint_id).order_by(_C.id.desc()).limit(limit)
    if status is not None:
        query = query.where(_C.status == status)
    if before is not None:
        query = query.where(_C.id < before)
    return [listed(row) for row in connection.execute(query)]


_AGAIN: Mapping[str, Any] = {
    "status": "pending",
    "attempts": 0,
    "due_at": NOW,
    "finished_at": None,
    "lease": None,
}


def again(tx: Transaction, endpoint_id: str, delivery_id: int) -> bool:
    """Have one finished delivery sent again; False if there is none, or it is not finished."""
    one = update(webhook_deliveries).where(_C.id == delivery_id, _C.endpoint_id == endpoint_id, FINISHED)
    return tx.connection.execute(one.values(**_AGAIN)).rowcount == 1


def failed_again(tx: Transaction, endpoint_id: str, since_ms: int, above: int, limit: int) -> list[int]:
    """Have failed deliveries with ids above `above` sent again whose events occurred since then; returns their ids."""
    failed = select(_C.id).where(_C.endpoint_id == endpoint_id, _C.status == "failed", _C.id > above)
    chosen = failed.where(_C.occurred_at >= since_ms).order_by(_C.id).limit(limit)
    some = update(webhook_deliveries).where(_C.id.in_(chosen), _C.status == "failed").values(**_AGAIN)
    return sorted(tx.connection.execute(some.returning(_C.id)).scalars())


def give_up(tx: Transaction, endpoint_id: str, reason: str) -> None:
    """What is to be sent to this webhook fails: it is disabled."""
    pending = update(webhook_deliveries).where(_C.endpoint_id == endpoint_id, PENDING)
    tx.connection.execute(pending.values(status="failed", error=reason, lease=None, finished_at=NOW))


def move_host(tx: Transaction, endpoint_id: str, host: str) -> None:
    """The webhook has another address: what is still to be sent goes there."""
    pending = update(webhook_deliveries).where(_C.endpoint_id == endpoint_id, PENDING)
    tx.connection.execute(pending.values(host=host))


def remove_finished(tx: Transaction, before_ms: int, limit: int) -> int:
    """Remove deliveries that were finished before; returns how many."""
    old = select(_C.id).where(FINISHED, _C.finished_at < before_ms).order_by(_C.finished_at).limit(limit)
    return tx.connection.execute(delete(webhook_deliveries).where(_C.id.in_(old))).rowcount


def bring_back(tx: Transaction, claim_ms: int) -> None:
    """The clock was set back: what waits for a retry waits from now on, and no claim ends later than a new one."""
    now = tx.now
    table = update(webhook_deliveries)
    tx.connection.execute(
        table.where(PENDING, _C.lease.is_(None), _C.due_at > now, or_(_C.attempted_at > now, _C.attempts == 0)).values(
            due_at=now
        )
    )
    tx.connection.execute(table.where(PENDING, _C.lease.is_not(None), _C.due_at > now + claim_ms).values(due_at=now))


def listed(row: Row[Any]) -> Delivery:
    """The delivery in a row of these columns."""
    return Delivery._make(row)._replace(type=WebhookEvent(row.type))
