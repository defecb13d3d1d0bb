"""Webhooks as rows: their addresses, events and secrets. What is sent to them is in `webhook_deliveries`."""

from collections.abc import Iterable, Sequence
from typing import Any, NamedTuple

from sqlalchemy import (
    ColumnElement,
    Connection,
    Integer,
    bindparam,
    delete,
    exists,
    func,
    literal_column,
    select,
    text,
    update,
)

from app.db.engine import Transaction
from app.db.webhook_tables import SCOPED, webhook_endpoints
from app.domain.webhooks import WebhookEvent, bits, from_bits

ACCOUNT = "account"  # the scope of the row whose secret signs what is sent to webhooks of single requests
EVERYTHING = ""


class Endpoint(NamedTuple):
    """A webhook as it is stored. Times in ms since the epoch."""

    id: str
    user_id: str
    scope: str
    url: str
    host: str
    events: tuple[WebhookEvent, ...]
    description: str | None
    enabled: bool
    disabled_reason: str | None
    failing_since: int | None
    silent_since: int | None
    signer_id: str
    secret_number: int
    previous_until: int | None
    key_fingerprint: str
    created_at: int
    updated_at: int


_C = webhook_endpoints.c
_COLUMNS = [_C[name] for name in Endpoint._fields]
_EVENTS = Endpoint._fields.index("events")
_ALL = select(*_COLUMNS)
_OF_JOB = text("webhook_endpoints AS w")
_IS_OF_JOB = text("w.user_id = jobs.user_id AND w.scope IN ('', jobs.id, jobs.batch_id) AND w.enabled")


def of_job(event: WebhookEvent) -> ColumnElement[bool]:
    """Whether a webhook wants the event of a row of `jobs`, for the RETURNING of its change.

    As text, since SQLAlchemy leaves out the names of tables there: `user_id = user_id` would be true of every webhook.
    """
    wants = literal_column("w.events", Integer).bitwise_and(event.bit) != 0
    return select(literal_column("1")).select_from(_OF_JOB).where(_IS_OF_JOB, wants).exists()


def of_user(event: WebhookEvent, user_id: ColumnElement[Any]) -> ColumnElement[bool]:
    """Whether a webhook of all requests of the user wants the event, as a column of a query."""
    wants = _C.events.bitwise_and(event.bit) != 0
    return exists().where(_C.user_id == user_id, _C.scope == EVERYTHING, _C.enabled, wants)


def users_who_want(connection: Connection, event: WebhookEvent, user_ids: Iterable[str]) -> set[str]:
    """Those of these users who have any webhook that wants the event."""
    wants = _C.events.bitwise_and(event.bit) != 0
    query = select(_C.user_id).where(_C.user_id.in_(list(user_ids)), _C.enabled, wants).distinct()
    return set(connection.execute(query).scalars())


def add(tx: Transaction, values: dict[str, Any]) -> Endpoint | None:
    """Add a webhook; None if its user has one of this scope."""
    row = {**values, "events": bits(values["events"]), "created_at": tx.now, "updated_at": tx.now}
    added = tx.upsert(webhook_endpoints).values(row).on_conflict_do_nothing().returning(*_COLUMNS)
    return _from(tx.connection.execute(added).first())


def find(connection: Connection, endpoint_id: str) -> Endpoint | None:
    return _from(connection.execute(_ALL.where(_C.id == endpoint_id)).first())


def find_scoped(connection: Connection, user_id: str, scope: str) -> Endpoint | None:
    """The user's webhook of one request or batch, or their `ACCOUNT`."""
    return _from(connection.execute(_ALL.where(_C.user_id == user_id, _C.scope == scope, SCOPED)).first())


def page(connection: Connection, user_id: str, scope: str, after: str | None, limit: int) -> list[Endpoint]:
    """The user's webhooks of this scope, oldest first."""
    query = _ALL.where(_C.user_id == user_id, _C.scope == scope).order_by(_C.id).limit(limit)
    found = connection.execute(query if after is None else query.where(_C.id > after))
    return [_made(row) for row in found]


def count(connection: Connection, user_id: str) -> int:
    """How many webhooks the user has that are told of everything."""
    query = select(func.count()).where(_C.user_id == user_id, _C.scope == EVERYTHING)
    return int(connection.execute(query).scalar_one())


def change(tx: Transaction, endpoint_id: str, **values: Any) -> Endpoint | None:
    """Change columns of the webhook; None if there is none."""
    if "events" in values:
        values["events"] = bits(values["events"])
    changed = update(webhook_endpoints).where(_C.id == endpoint_id).values(updated_at=tx.now, **values)
    return _from(tx.connection.execute(changed.returning(*_COLUMNS)).first())


def remove(tx: Transaction, endpoint_id: str) -> None:
    """Remove the webhook, and its deliveries with it."""
    tx.connection.execute(delete(webhook_endpoints).where(_C.id == endpoint_id))


def remove_scoped(tx: Transaction, before_ms: int, limit: int) -> int:
    """Remove webhooks of single requests that were made before; returns how many."""
    old = select(_C.id).where(SCOPED, _C.scope != ACCOUNT, _C.created_at < before_ms)
    chosen = old.order_by(_C.created_at).limit(limit)
    return tx.connection.execute(delete(webhook_endpoints).where(_C.id.in_(chosen))).rowcount


_NOTE = update(webhook_endpoints).where(_C.id == bindparam("endpoint_id"))


def note(tx: Transaction, endpoint_id: str, failing_since: int | None, silent_since: int | None) -> None:
    """Since when attempts fail, and since when they are not answered; None if they are."""
    values = {"failing_since": failing_since, "silent_since": silent_since}
    tx.connection.execute(_NOTE.values(values), {"endpoint_id": endpoint_id})


def _made(row: Sequence[Any]) -> Endpoint:
    values = list(row)
    values[_EVENTS] = from_bits(values[_EVENTS])
    return Endpoint._make(values)


def _from(row: Sequence[Any] | None) -> Endpoint | None:
    return None if row is None else _made(row)
