"""The line: who waits for an extension, first come first. Rows of it are slim, for many are looked at and few are taken."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from sqlalchemy import Connection, Integer, bindparam, select

from app.db.jobs import NOW
from app.db.prepared import Prepared
from app.db.tables import WAITING, jobs


@dataclass(frozen=True, slots=True)
class Waiting:
    """A job that waits and is due: what it takes to choose an extension for it, and to take it from the line."""

    id: str
    model: str
    attempt: int
    avoid: str | None
    place: int


# Asked for every hand-off, so built once.
_line = (
    select(jobs.c.id, jobs.c.model, jobs.c.attempt, jobs.c.avoid, jobs.c.place)
    .where(WAITING, jobs.c.due_at <= NOW)
    .order_by(jobs.c.place, jobs.c.id)
    .limit(bindparam("most", type_=Integer))
)
_LINE = Prepared(_line)
_OF_MODEL = Prepared(_line.where(jobs.c.model == bindparam("model")))


def first(connection: Connection, limit: int) -> list[Waiting]:
    """The first in the line, whatever their models."""
    return [Waiting(*row) for row in _LINE.rows(connection, {"most": limit})]


def first_of(connection: Connection, models: Sequence[str], limit: int) -> list[Waiting]:
    """The first in the line of those for one of these models."""
    found = [Waiting(*row) for model in models for row in _OF_MODEL.rows(connection, {"model": model, "most": limit})]
    return in_order(found)[:limit]


def in_order(waiting: Iterable[Waiting]) -> list[Waiting]:
    """As they stand in the line."""
    return sorted(waiting, key=lambda each: (each.place, each.id))
