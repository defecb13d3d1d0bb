"""What one user has here, counted by indexes that begin with the user."""

from __future__ import annotations

from dataclasses import dataclass

from sqlalchemy import Connection, Integer, bindparam, exists, func, literal_column, select

from app.db.prepared import Prepared
from app.db.tables import WAITING, images, jobs
from app.domain.ids import time_ordered_id

# Asked for every request: built once, and one question for both.
_mine = (jobs.c.user_id == bindparam("user_id"), WAITING)
_as_many = select(jobs.c.id).where(*_mine).order_by(jobs.c.id).offset(bindparam("before", type_=Integer)).limit(1)
_newest = select(jobs.c.id, jobs.c.place, exists(_as_many.correlate(None).subquery().select())).where(*_mine)
_LINE = Prepared(_newest.order_by(jobs.c.id.desc()).limit(literal_column("1")))


@dataclass(frozen=True, slots=True)
class Line:
    """A user's requests that wait: id and place of the last of them, and whether there are as many as was asked about."""

    last_id: str | None
    last_place: int | None
    full: bool


def line(connection: Connection, user_id: str, count: int) -> Line:
    """How a user's requests stand in the line; it is full where `count` of them wait, or more."""
    row = _LINE.row(connection, {"user_id": user_id, "before": count - 1})
    if row is None:
        return Line(None, None, full=False)
    last_id, last_place, full = row
    return Line(last_id, last_place, bool(full))


def accepted_since(connection: Connection, user_id: str, since_ms: int, count: int) -> int | None:
    """Where the user has had `count` jobs accepted since then, when the first of the last `count` was (ms)."""
    mine = select(jobs.c.created_at).where(jobs.c.user_id == user_id, jobs.c.id > time_ordered_id(since_ms, bytes(10)))
    accepted: int | None = connection.execute(mine.order_by(jobs.c.id.desc()).offset(count - 1).limit(1)).scalar()
    return accepted


def bytes_stored(connection: Connection, user_id: str) -> int:
    """How many bytes the user's pictures take."""
    size = select(func.coalesce(func.sum(images.c.bytes), 0)).join(jobs, jobs.c.id == images.c.job_id)
    return int(connection.execute(size.where(jobs.c.user_id == user_id)).scalar_one())
