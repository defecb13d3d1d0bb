"""The queue of waiting jobs, in order. Few columns are read, since most of the jobs read are not assigned."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from sqlalchemy import Connection, Integer, bindparam, select

from app.db.jobs import STATEMENT_NOW
from app.db.tables import WAITING, jobs, model_key


@dataclass(frozen=True, slots=True)
class QueuedJob:
    """A waiting job that is due: the columns that are needed to assign it."""

    id: str
    model: str
    attempt: int
    avoid: str | None
    place: int
    any_model: bool


_FIRST = (
    select(*(jobs.c[name] for name in ("id", "model", "attempt", "avoid", "place", "any_model")))
    .where(WAITING, jobs.c.due_at <= STATEMENT_NOW)
    .order_by(jobs.c.place, jobs.c.id)
    .limit(bindparam("limit", type_=Integer))
)
_FIRST_UNNAMED = _FIRST.where(jobs.c.any_model)
_FIRST_OF_MODEL = _FIRST.where(model_key == bindparam("model"))


def first(connection: Connection, limit: int) -> list[QueuedJob]:
    """The first jobs in the queue, for any model."""
    return [QueuedJob(*row) for row in connection.execute(_FIRST, {"limit": limit})]


def first_unnamed(connection: Connection, limit: int) -> list[QueuedJob]:
    """The first jobs in the queue whose clients named no model."""
    return [QueuedJob(*row) for row in connection.execute(_FIRST_UNNAMED, {"limit": limit})]


def first_of(connection: Connection, models: Sequence[str], limit: int) -> list[QueuedJob]:
    """The first jobs in the queue for these models, which are in lower case."""
    rows = (connection.execute(_FIRST_OF_MODEL, {"model": model, "limit": limit}) for model in models)
    return in_order((QueuedJob(*row) for some in rows for row in some), limit)


def in_order(found: Iterable[QueuedJob], limit: int) -> list[QueuedJob]:
    """The first of these jobs, in the order of the queue."""
    return sorted(found, key=lambda job: (job.place, job.id))[:limit]
