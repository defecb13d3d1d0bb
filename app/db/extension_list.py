"""The list of known extensions for operators, connected or not."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from sqlalchemy import Connection, Row, exists, select

from app.db import pauses, slots
from app.db.clock import now_ms
from app.db.tables import extensions, hubs, jobs
from app.domain.pauses import PauseKind, QueuePause
from app.domain.policy import ExtensionStatus, extension_status
from app.domain.states import Status


@dataclass(frozen=True, slots=True)
class Pause:
    """Until when (ms) an extension gets no work, and why."""

    until: int
    reason: str | None


@dataclass(frozen=True, slots=True)
class ExtensionDetails:
    """An extension. Times in ms since the epoch; `since` is when it connected or disconnected.

    `failures` counts failures in a row, `held` the jobs it holds; `hub_id` is its web process.
    `pause` is one that failures led to, or that it asked for; `paused_by_operator` is another.
    """

    id: str
    connected: bool
    standing: ExtensionStatus
    since: int
    heard_at: int
    version: str | None
    capabilities: tuple[str, ...]
    available: bool
    max_concurrent: int
    held: int
    failures: int
    last_success_at: int | None
    pause: Pause | None
    hub_id: str | None
    job_ids: tuple[str, ...]
    paused_by_operator: QueuePause | None = None


def page(
    connection: Connection, hub_timeout_ms: int, connected: bool | None, after: str | None, limit: int
) -> list[ExtensionDetails]:
    """Extensions ordered by id, starting after the id `after`; optionally only those that are `connected`, or are not.

    Extensions of a dead web process count as not connected, even before a sweep has recorded that.
    """
    # EXISTS per extension: with a list of hubs, SQLite would read all connected extensions and sort them
    live_hub = (hubs.c.id == extensions.c.hub_id, hubs.c.seen_at > now_ms() - hub_timeout_ms)
    connected_now = extensions.c.connected & exists().where(*live_hub)
    computed = (connected_now.label("is_connected"), slots.CAPACITY.label("slots"), now_ms().label("now"))
    query = select(extensions, *computed).order_by(extensions.c.id).limit(limit)
    if connected is not None:
        query = query.where(connected_now if connected else ~connected_now)
    if after is not None:
        query = query.where(extensions.c.id > after)
    rows = connection.execute(query).all()
    held = _held(connection, [row.id for row in rows if row.held])
    paused = pauses.of_kind(connection, PauseKind.EXTENSION)
    return [_entry(row, held.get(row.id, ()), paused.get(row.id)) for row in rows]


def _held(connection: Connection, extension_ids: Sequence[str]) -> dict[str, tuple[str, ...]]:
    if not extension_ids:
        return {}
    held = (jobs.c.holder.in_(extension_ids), jobs.c.status == Status.PROCESSING.value)
    found: dict[str, tuple[str, ...]] = {}
    for row in connection.execute(select(jobs.c.holder, jobs.c.id).where(*held).order_by(jobs.c.id)):
        found[row.holder] = (*found.get(row.holder, ()), row.id)
    return found


def _entry(row: Row[Any], job_ids: tuple[str, ...], by_operator: QueuePause | None) -> ExtensionDetails:
    pause = Pause(row.cooldown_until, row.cooldown_reason) if row.cooldown_until > row.now else None
    standing = extension_status(
        connected=bool(row.is_connected),
        available=row.available,
        paused=pause is not None,
        held=row.held,
        slots=row.slots,
        by_operator=by_operator,
    )
    left_at = None if row.is_connected else row.disconnected_at or row.heard_at
    return ExtensionDetails(
        id=row.id,
        connected=bool(row.is_connected),
        standing=standing,
        since=row.connected_at if left_at is None else left_at,
        heard_at=row.heard_at,
        version=row.version,
        capabilities=tuple(row.capabilities),
        available=row.available,
        max_concurrent=row.max_concurrent,
        held=row.held,
        failures=row.failures,
        last_success_at=row.last_success_at or None,
        pause=pause,
        hub_id=row.hub_id if row.is_connected else None,
        job_ids=job_ids,
        paused_by_operator=by_operator,
    )
