"""What one user has here, counted by indexes that begin with the user."""

from __future__ import annotations

from sqlalchemy import Connection, func, literal, select

from app.db.tables import images, jobs
from app.domain.ids import time_ordered_id
from app.domain.states import Status


def waits_for(connection: Connection, user_id: str, count: int) -> bool:
    """True where `count` of the user's jobs wait, or more."""
    line = select(literal(1)).where(jobs.c.user_id == user_id, jobs.c.status == Status.ACCEPTED.value)
    return connection.execute(line.order_by(jobs.c.place).offset(count - 1).limit(1)).first() is not None


def accepted_since(connection: Connection, user_id: str, since_ms: int, count: int) -> int | None:
    """Where the user has had `count` jobs accepted since then, when the first of the last `count` was (ms)."""
    mine = select(jobs.c.created_at).where(jobs.c.user_id == user_id, jobs.c.id > time_ordered_id(since_ms, bytes(10)))
    accepted: int | None = connection.execute(mine.order_by(jobs.c.id.desc()).offset(count - 1).limit(1)).scalar()
    return accepted


def bytes_stored(connection: Connection, user_id: str) -> int:
    """How many bytes the user's pictures take."""
    size = select(func.coalesce(func.sum(images.c.bytes), 0)).join(jobs, jobs.c.id == images.c.job_id)
    return int(connection.execute(size.where(jobs.c.user_id == user_id)).scalar_one())
