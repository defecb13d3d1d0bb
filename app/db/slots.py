"""Slots: how many jobs extensions take at once, who has one free, and how many are in use."""

from __future__ import annotations

from sqlalchemy import Connection, Integer, bindparam, case, func, select, update

from app.db.clock import now_ms
from app.db.engine import Transaction
from app.db.prepared import Prepared
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
# how many jobs `extension_id` holds
COUNTED = select(func.count()).where(jobs.c.holder == bindparam("extension_id"), PROCESSING).scalar_subquery()

# What every hand-off and every result asks is built once.
_FREE = Prepared(
    select(*(extensions.c[name] for name in ("id", "connection_id", "hub_id", "capabilities", "held")))
    .add_columns(AT_ONCE.label("slots"), extensions.c.last_success_at)
    .where(_takes_work)
    .order_by(extensions.c.held, extensions.c.last_success_at.desc(), extensions.c.id)
    .limit(bindparam("most", type_=Integer))
    .offset(bindparam("passed_over", type_=Integer))
)
_held = select(extensions.c.id).where(extensions.c.id == bindparam("extension_id"))
_HOLD = Prepared(_held.with_for_update())
_RECOUNT = Prepared(update(extensions).where(extensions.c.id == bindparam("extension_id")).values(held=COUNTED))
_take = (
    update(extensions)
    .where(extensions.c.connection_id == bindparam("over"), _takes_work, COUNTED < AT_ONCE)
    .values(held=COUNTED + 1)
)
_TAKE = Prepared(_take.where(extensions.c.id == bindparam("extension_id")))


def free(connection: Connection, limit: int, offset: int = 0) -> list[Candidate]:
    """Connected extensions that take work now and have a free slot, least busy first."""
    return [
        Candidate(extension_id, connection_id, hub_id, tuple(capabilities), held, at_once, last_success_at)
        for extension_id, connection_id, hub_id, capabilities, held, at_once, last_success_at in _FREE.rows(
            connection, {"most": limit, "passed_over": offset}
        )
    ]


def take(tx: Transaction, candidate: Candidate) -> bool:
    """Take a slot of the extension; False where it has none free any more, or another connection.

    The job it is taken for has to be moved before the commit, or the slots be counted again. A transaction that assigns to
    the same extension waits here, so that two never give it more than it takes.
    """
    hold(tx, candidate.extension_id)
    slot = {"extension_id": candidate.extension_id, "over": candidate.connection_id}
    return _TAKE.change(tx.connection, slot) == 1


def recount(tx: Transaction, extension_id: str) -> None:
    """Write down how many jobs the extension holds; counted anew each time, so it cannot drift."""
    hold(tx, extension_id)
    _RECOUNT.soon(tx.connection, {"extension_id": extension_id})


def hold(tx: Transaction, extension_id: str) -> None:
    """Its row is held before its jobs are counted: counts made at the same time would miss each other's changes."""
    if not tx.writes_alone:
        _HOLD.soon(tx.connection, {"extension_id": extension_id})
