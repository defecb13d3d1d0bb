"""What one user has here, counted by indexes that begin with the user."""

from __future__ import annotations

from dataclasses import dataclass

from sqlalchemy import Connection, Integer, bindparam, exists, func, select

from app.db.prepared import Prepared
from app.db.tables import WAITING, images, jobs
from app.domain.ids import time_ordered_id

# Asked for every request: built once, and one question for both.
_line = select(jobs.c.place).where(jobs.c.user_id == bindparam("user_id"), WAITING)
_LINE = Prepared(
    select(
        _line.order_by(jobs.c.place.desc()).limit(1).scalar_subquery(),
        exists(_line.order_by(jobs.c.place).offset(bindparam("before", type_=Integer)).limit(1).subquery().select()),
    )
)


@dataclass(frozen=True, slots=True)
class Line:
    """A user's requests that wait: the place of the last of them, and whether there are as many as was asked about."""

    last_place: int | None
    full: bool


def line(connection: Connection, user_id: str, count: int) -> Line:
    """How a user's requests stand in the line; it is full where `count` of them wait, or more."""
    last_place, full = _LINE.one(connection, {"user_id": user_id, "before": count - 1})
    return Line(last_place, bool(full))


def accepted_since(connection: Connection, user_id: str, since_ms: int, count: int) -> int | None:
    """Where the user has had `count` jobs accepted since then, when the first of the last `count` was (ms)."""
    mine = select(jobs.c.created_at).where(jobs.c.user_id == user_id, jobs.c.id > time_ordered_id(since_ms, bytes(10)))
    accepted: int | None = connection.execute(mine.order_by(jobs.c.id.desc()).offset(count - 1).limit(1)).scalar()
    return accepted


def bytes_stored(connection: Connection, user_id: str) -> int:
    """How many bytes the user's pictures take."""
    size = select(func.coalesce(func.sum(images.c.bytes), 0)).join(jobs, jobs.c.id == images.c.job_id)
    return int(connection.execute(size.where(jobs.c.user_id == user_id)).scalar_one())
