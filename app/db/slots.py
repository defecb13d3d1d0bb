"""Slots: how many jobs an extension takes at a time, and which extensions have a free one."""

from collections.abc import Collection

from sqlalchemy import Connection, Integer, bindparam, case, func, literal, literal_column, select, update

from app.db import pauses
from app.db.clock import now_ms
from app.db.engine import Transaction
from app.db.tables import PROCESSING, extensions, jobs
from app.domain.pauses import PauseKind
from app.domain.policy import Candidate

# How many jobs an extension may hold: after a failure one at a time, until it succeeds again.
CAPACITY = case((extensions.c.failures > 0, 1), else_=extensions.c.max_concurrent)
PAUSED = pauses.paused(PauseKind.EXTENSION, extensions.c.id)  # by an operator

_has_free_slot = (
    extensions.c.connected
    & extensions.c.available
    & (extensions.c.held < extensions.c.max_concurrent)
    & (extensions.c.cooldown_until <= now_ms())
    & (extensions.c.held < CAPACITY)
    & ~PAUSED
)
# how many jobs `extension_id` holds
_HELD = select(func.count()).where(jobs.c.holder == bindparam("extension_id"), PROCESSING).scalar_subquery()

_FREE = (
    select(*(extensions.c[name] for name in ("id", "connection_id", "hub_id", "capabilities", "held")))
    .add_columns(CAPACITY.label("slots"), extensions.c.last_success_at)
    .where(_has_free_slot)
    .order_by(extensions.c.held, extensions.c.last_success_at.desc(), extensions.c.id)
    .limit(bindparam("limit", type_=Integer))
    .offset(bindparam("offset", type_=Integer))
)
_ANY_FREE = select(literal(1)).where(_has_free_slot).limit(literal_column("1"))
_LOCK = select(extensions.c.id).where(extensions.c.id == bindparam("extension_id")).with_for_update()
_RECOUNT = update(extensions).where(extensions.c.id == bindparam("extension_id")).values(held=_HELD)
_TAKE = (
    update(extensions)
    .where(
        extensions.c.id == bindparam("extension_id"),
        extensions.c.connection_id == bindparam("this_connection"),
        _has_free_slot,
        _HELD < CAPACITY,
    )
    .values(held=_HELD + 1)
)


def free(connection: Connection, limit: int, offset: int = 0) -> list[Candidate]:
    """Connected extensions that accept work and have a free slot, least busy first."""
    return [
        Candidate(extension_id, connection_id, hub_id, tuple(capabilities), held, slots, last_success_at)
        for extension_id, connection_id, hub_id, capabilities, held, slots, last_success_at in connection.execute(
            _FREE, {"limit": limit, "offset": offset}
        )
    ]


def held_by(connection: Connection, extension_ids: Collection[str]) -> dict[str, int]:
    """How many jobs each of these extensions holds."""
    if not extension_ids:
        return {}
    query = select(extensions.c.id, extensions.c.held).where(extensions.c.id.in_(list(extension_ids)))
    return {row.id: row.held for row in connection.execute(query)}


def any_free(connection: Connection) -> bool:
    """True if a connected extension accepts work and has a free slot."""
    return connection.execute(_ANY_FREE).first() is not None


def take(tx: Transaction, candidate: Candidate) -> bool:
    """Take a slot of the extension; False if none is free any more, or it has another connection.

    The caller must assign the job before the commit, or recount. The row is locked, so that concurrent transactions never
    assign more jobs than the extension has slots.
    """
    _lock(tx, candidate.extension_id)
    slot = {"extension_id": candidate.extension_id, "this_connection": candidate.connection_id}
    return tx.connection.execute(_TAKE, slot).rowcount == 1


def recount(tx: Transaction, extension_id: str) -> None:
    """Store how many jobs the extension holds. It is counted each time, so it cannot drift."""
    _lock(tx, extension_id)
    tx.connection.execute(_RECOUNT, {"extension_id": extension_id})


def _lock(tx: Transaction, extension_id: str) -> None:
    """Lock the extension's row before its jobs are counted: concurrent counts would miss each other's changes."""
    if not tx.writes_alone:
        tx.connection.execute(_LOCK, {"extension_id": extension_id})
