"""The queue: jobs that wait for an extension, in their order. Rows of it are slim, for many are read and few are taken."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from sqlalchemy import Connection, Integer, bindparam, select

from app.db.jobs import NOW
from app.db.tables import WAITING, jobs


@dataclass(frozen=True, slots=True)
class QueuedJob:
    """A job that waits and is due: what it takes to choose an extension for it, and to take it from the queue."""

    id: str
    model: str
    attempt: int
    avoid: str | None
    place: int


_FIRST = (
    select(jobs.c.id, jobs.c.model, jobs.c.attempt, jobs.c.avoid, jobs.c.place)
    .where(WAITING, jobs.c.due_at <= NOW)
    .order_by(jobs.c.place, jobs.c.id)
    .limit(bindparam("limit", type_=Integer))
)
_FIRST_OF_MODEL = _FIRST.where(jobs.c.model == bindparam("model"))


def first(connection: Connection, limit: int) -> list[QueuedJob]:
    """The first in the queue, whatever their models."""
    return [QueuedJob(*row) for row in connection.execute(_FIRST, {"limit": limit})]


def first_of(connection: Connection, models: Sequence[str], limit: int) -> list[QueuedJob]:
    """The first in the queue of those for one of these models."""
    found: list[QueuedJob] = []
    for model in models:
        rows = connection.execute(_FIRST_OF_MODEL, {"model": model, "limit": limit})
        found += [QueuedJob(*row) for row in rows]
    return in_order(found)[:limit]


def in_order(waiting: Iterable[QueuedJob]) -> list[QueuedJob]:
    """As they stand in the queue."""
    return sorted(waiting, key=lambda job: (job.place, job.id))
