"""Leases: for how long extensions hold their jobs. They fence reports; clients are not notified of them."""

from collections.abc import Mapping, Sequence
from typing import Any

from sqlalchemy import BigInteger, Connection, bindparam, case, exists, literal, select, update

from app.db import compare_and_set, jobs
from app.db.clock import now_ms
from app.db.engine import Transaction
from app.db.jobs import Job
from app.db.tables import PROCESSING
from app.db.tables import jobs as table

_HELD = select(*jobs.COLUMNS).where(table.c.holder == bindparam("extension_id"), PROCESSING)
# lease tokens are unique: no other attempt or download has the same
_under_lease = (table.c.id == bindparam("job_id"), table.c.lease == bindparam("held_lease"))
_IS_OFFER = select(literal(1)).where(*_under_lease, ~table.c.handed_over)
_RECEIVED = (
    update(table)
    .where(*_under_lease)
    .values(lease_until=compare_and_set.capped(now_ms() + bindparam("silent_ms", type_=BigInteger)), handed_over=True)
)
# whether `extension_id` has received any job that it holds
HAS_WORK = exists().where(table.c.holder == bindparam("extension_id"), PROCESSING, table.c.handed_over)


def held_by(connection: Connection, extension_id: str) -> list[Job]:
    """The jobs that the extension holds, received or not."""
    return [jobs.from_row(row) for row in connection.execute(_HELD, {"extension_id": extension_id})]


def expired(connection: Connection, limit: int) -> list[Job]:
    """The jobs whose lease has expired, the longest expired first."""
    query = select(*jobs.COLUMNS).where(PROCESSING, table.c.lease_until <= jobs.STATEMENT_NOW)
    return jobs.listed(connection, query.order_by(table.c.lease_until).limit(limit))


def is_offer(connection: Connection, job_id: str, lease: str) -> bool:
    """True if the job is offered under this lease and the extension has not confirmed the offer."""
    return connection.execute(_IS_OFFER, {"job_id": job_id, "held_lease": lease}).first() is not None


def received(tx: Transaction, job_id: str, lease: str, silent_ms: int) -> None:
    """The extension received the offer: the lease lasts `silent_ms` from now."""
    tx.connection.execute(_RECEIVED, {"job_id": job_id, "held_lease": lease, "silent_ms": silent_ms})


def renew(tx: Transaction, held: Mapping[str, str | None], moment_ms: int, **values: Any) -> list[str]:
    """Renew the leases of these jobs (job id to lease) until `moment_ms`.

    Returns the ids of the jobs that are still held under them.
    """
    if not held:
        return []
    still_held = (table.c.id.in_(list(held)), table.c.lease.in_(list(held.values())), PROCESSING)
    renewed = (
        update(table)
        .where(*still_held)
        .values(lease_until=compare_and_set.capped(moment_ms), handed_over=True, **values)
    )
    return list(tx.connection.execute(renewed.returning(table.c.id)).scalars())


def shorten(tx: Transaction, connection_ids: Sequence[str], moment_ms: int) -> None:
    """Shorten the leases over these closed connections: they end at `moment_ms` at the latest."""
    longer = (table.c.connection_id.in_(connection_ids), PROCESSING, table.c.lease_until > moment_ms)
    tx.connection.execute(update(table).where(*longer).values(lease_until=moment_ms))


def extend_all(tx: Transaction, by_ms: int, *, lease_ms: int, offer_ms: int, attempt_ms: int) -> None:
    """Extend all leases and attempts by `by_ms`, but to no more than if they began now."""
    fresh = case((table.c.handed_over, tx.now + lease_ms), else_=tx.now + offer_ms)
    tx.connection.execute(
        update(table)
        .where(PROCESSING)
        .values(
            lease_until=compare_and_set.earlier(table.c.lease_until + by_ms, fresh),
            attempt_until=compare_and_set.earlier(table.c.attempt_until + by_ms, tx.now + attempt_ms),
        )
    )
