"""The usage of one user, counted by indexes that begin with the user."""

from dataclasses import dataclass

from sqlalchemy import ColumnClause, Connection, Integer, bindparam, func, literal_column, select

from app.db.tables import images, jobs
from app.domain.ids import uuid7

_USER = jobs.c.user_id == bindparam("user_id")
_ONE: ColumnClause[int] = literal_column("1")
_ACCEPTED = literal_column("'accepted'", jobs.c.status.type)
# A range instead of an equality, so that PostgreSQL uses `ix_jobs_user_status`. Otherwise, if its statistics show many waiting
# jobs, it would search all jobs of the user for a waiting one.
_waiting = select(jobs.c.place).where(_USER, jobs.c.status.between(_ACCEPTED, _ACCEPTED))
_FIRST, _LAST = (jobs.c.status, jobs.c.id), (jobs.c.status.desc(), jobs.c.id.desc())
_QUEUE = (
    select(
        jobs.c.id,
        jobs.c.number,
        _waiting.order_by(*_LAST).limit(_ONE).correlate(None).scalar_subquery(),
        _waiting.with_only_columns(jobs.c.number).order_by(*_FIRST).limit(_ONE).correlate(None).scalar_subquery(),
    )
    .where(_USER)
    .order_by(jobs.c.id.desc())
    .limit(_ONE)
)
_NTH_WAITING = (
    _waiting.with_only_columns(_ONE).order_by(*_FIRST).offset(bindparam("skipped", type_=Integer)).limit(_ONE)
)


@dataclass(frozen=True, slots=True)
class UserQueue:
    """What a new request of a user depends on: id and number of the last request, the place of the last waiting one, and the
    number of the first waiting one."""

    last_id: str | None = None
    last_number: int = 0
    last_place: int | None = None
    first_number: int | None = None

    def fewer_than(self, count: int) -> bool:
        """True if certainly fewer than `count` wait: numbers are unique, and those of waiting requests lie in between."""
        if self.first_number is None:
            return True
        return self.first_number > 0 and self.last_number - self.first_number + 1 < count


def queue_of(connection: Connection, user_id: str) -> UserQueue:
    row = connection.execute(_QUEUE, {"user_id": user_id}).first()
    return UserQueue() if row is None else UserQueue(*row)


def has_waiting(connection: Connection, user_id: str, count: int) -> bool:
    """True if at least `count` of the user's requests wait; reads at most `count` index entries."""
    return connection.execute(_NTH_WAITING, {"user_id": user_id, "skipped": count - 1}).first() is not None


def accepted_since(connection: Connection, user_id: str, since_ms: int, count: int) -> int | None:
    """The time (ms) of the user's `count`-th newest request, if it was accepted after `since_ms`; else None."""
    # ids give the index; they keep their time when the clock is set back, `created_at` does not
    recent = select(jobs.c.created_at).where(
        jobs.c.user_id == user_id, jobs.c.id > uuid7(since_ms, bytes(10)), jobs.c.created_at > since_ms
    )
    accepted: int | None = connection.execute(recent.order_by(jobs.c.id.desc()).offset(count - 1).limit(1)).scalar()
    return accepted


def bytes_stored(connection: Connection, user_id: str) -> int:
    """The total size of the user's pictures in bytes."""
    size = select(func.coalesce(func.sum(images.c.bytes), 0)).join(jobs, jobs.c.id == images.c.job_id)
    return int(connection.execute(size.where(jobs.c.user_id == user_id)).scalar_one())
