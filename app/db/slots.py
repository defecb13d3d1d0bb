"""Slots: how many jobs extensions take at once, who has one free, and how many are in use."""

from __future__ import annotations

from sqlalchemy import Connection, Integer, bindparam, case, func, select, update

from app.db.engine import Transaction, now_ms
from app.db.tables import PROCESSING, extensions, jobs
from app.domain.policy import Candidate

# after a failure, one job at a time shows whether it is well again
AT_ONCE = case((extensions.c.failures > 0, 1), else_=extensions.c.max_concurrent)


_takes_work = (
    extensions.c.connected
    & extensions.c.available
    & (extensions.c.held < extensions.c.max_concurrent)
    & (extensions.c.cooldown_until <= now_ms())
    & (extensions.c.held < AT_ONCE)
)
_count_held = select(func.count()).where(jobs.c.holder == bindparam("extension_id"), PROCESSING)

# What every hand-off and every result asks is built once.
_FREE = (
    select(
        *(extensions.c[name] for name in ("id", "connection_id", "hub_id", "capabilities", "held", "last_success_at"))
    )
    .add_columns(AT_ONCE.label("slots"))
    .where(_takes_work)
    .order_by(extensions.c.held, extensions.c.last_success_at.desc(), extensions.c.id)
    .limit(bindparam("most", type_=Integer))
    .offset(bindparam("passed_over", type_=Integer))
)
_MOST = (
    select(extensions.c.max_concurrent)
    .where(extensions.c.id == bindparam("extension_id"), extensions.c.connection_id == bindparam("connection_id"))
    .where(_takes_work)
    .with_for_update()
)
_HOLD = select(extensions.c.id).where(extensions.c.id == bindparam("extension_id")).with_for_update()
_RECOUNT = (
    update(extensions).where(extensions.c.id == bindparam("extension_id")).values(held=_count_held.scalar_subquery())
)


def free(connection: Connection, limit: int, offset: int = 0) -> list[Candidate]:
    """Connected extensions that take work now and have a free slot, least busy first."""
    return [
        Candidate(
            extension_id=row.id,
            connection_id=row.connection_id,
            hub_id=row.hub_id,
            capabilities=tuple(row.capabilities),
            held=row.held,
            max_concurrent=row.slots,
            last_success_at=row.last_success_at,
        )
        for row in connection.execute(_FREE, {"most": limit, "passed_over": offset})
    ]


def take(tx: Transaction, candidate: Candidate) -> bool:
    """Hold the extension's row and see that it still has a free slot on the same connection.

    Whoever assigns to the same extension waits here, so that two workers never give it more than it takes.
    """
    slot = {"extension_id": candidate.extension_id, "connection_id": candidate.connection_id}
    most = tx.connection.execute(_MOST, slot).scalar()
    return most is not None and held(tx.connection, candidate.extension_id) < most


def held(connection: Connection, extension_id: str) -> int:
    """How many jobs the extension holds."""
    return connection.execute(_count_held, {"extension_id": extension_id}).scalar_one()


def recount(tx: Transaction, extension_id: str) -> None:
    """Write down how many jobs the extension holds; counted anew each time, so it cannot drift.

    Its row is held before it is counted: counts made at the same time would miss each other's changes.
    """
    if not tx.writes_alone:
        tx.connection.execute(_HOLD, {"extension_id": extension_id})
    tx.connection.execute(_RECOUNT, {"extension_id": extension_id})
