"""The usage of one user, counted by indexes that begin with the user."""

from dataclasses import dataclass

from sqlalchemy import ColumnClause, Connection, Integer, bindparam, func, literal_column, select

from app.db import pauses, webhooks
from app.db.input_tables import inputs
from app.db.jobs import ORDER
from app.db.tables import HAS_PICTURES, WAITING, images, jobs, model_key, queues
from app.domain import fair_queueing
from app.domain.fair_queueing import Priority
from app.domain.ids import uuid7
from app.domain.pauses import PauseKind
from app.domain.webhooks import WebhookEvent

_USER = jobs.c.user_id == bindparam("user_id")
_ONE: ColumnClause[int] = literal_column("1")
_ACCEPTED = literal_column("'accepted'", jobs.c.status.type)
# A range instead of an equality, so that PostgreSQL uses `ix_jobs_user_status`. Otherwise, if its statistics show many waiting
# jobs, it would search all jobs of the user for a waiting one.
_newest = select(jobs.c.id).where(_USER).order_by(jobs.c.id.desc()).limit(_ONE)
_first_accepted = (
    select(jobs.c.number)
    .where(_USER, jobs.c.status.between(_ACCEPTED, _ACCEPTED))
    .order_by(jobs.c.status, jobs.c.id)
    .limit(_ONE)
)
_MODEL = bindparam("model", type_=queues.c.model.type)
_PRIORITY = bindparam("priority", type_=jobs.c.priority.type)
_virtual_time = select(queues.c.virtual_time).where(queues.c.model == _MODEL, queues.c.priority == _PRIORITY)
_last_start = (
    select(jobs.c.virtual_start)
    .where(WAITING, _USER, model_key == _MODEL, jobs.c.priority == _PRIORITY)
    .order_by(jobs.c.virtual_start.desc(), jobs.c.id.desc())
    .limit(_ONE)
)
_TAGS = select(func.coalesce(_virtual_time.scalar_subquery(), 0), _last_start.scalar_subquery())
_QUEUE = _TAGS.add_columns(
    _newest.scalar_subquery(),
    func.coalesce(_newest.with_only_columns(jobs.c.number).scalar_subquery(), 0),
    _first_accepted.scalar_subquery(),
    pauses.paused(PauseKind.USER, bindparam("user_id", type_=jobs.c.user_id.type)),
    webhooks.of_user(WebhookEvent.ACCEPTED, bindparam("user_id")),
)
_NTH_WAITING = (
    select(_ONE)
    .where(WAITING, _USER)
    .order_by(model_key, *ORDER)
    .offset(bindparam("skipped", type_=Integer))
    .limit(_ONE)
)


@dataclass(frozen=True, slots=True)
class UserQueue:
    """What a new request of a user depends on: the virtual time of its queue, and the virtual start of the user's last job
    there; id and number of the user's last request, the number of the first one that is accepted and not started; and
    whether the user is paused, and whether a webhook is told of the user's new requests."""

    virtual_time: int
    last_start: int | None
    last_id: str | None
    last_number: int
    first_number: int | None
    user_is_paused: bool
    notify: bool

    def virtual_start(self, weight: int) -> int:
        """The virtual start of a job that enters the queue now."""
        return fair_queueing.virtual_start(self.virtual_time, self.last_start, weight)

    def fewer_than(self, count: int) -> bool:
        """True if certainly fewer than `count` wait: numbers are unique, and those of waiting requests lie in between."""
        if self.first_number is None:
            return True
        return self.first_number > 0 and self.last_number - self.first_number + 1 < count


def queue_of(connection: Connection, user_id: str, key: str, priority: Priority) -> UserQueue:
    """The user's jobs in the queue with this key and priority."""
    values = {"user_id": user_id, "model": key, "priority": priority}
    return UserQueue(*connection.execute(_QUEUE, values).one())


def virtual_start(connection: Connection, user_id: str, key: str, priority: Priority, weight: int) -> int:
    """The virtual start of a job of this user that enters the queue with this key and priority now."""
    values = {"user_id": user_id, "model": key, "priority": priority}
    virtual_time, last = connection.execute(_TAGS, values).one()
    return fair_queueing.virtual_start(virtual_time, last, weight)


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


def count_since(connection: Connection, user_id: str, since_ms: int, most: int) -> int:
    """How many of the user's requests were accepted after `since_ms`; counted up to `most`."""
    # as in `accepted_since`
    recent = select(_ONE).where(
        jobs.c.user_id == user_id, jobs.c.id > uuid7(since_ms, bytes(10)), jobs.c.created_at > since_ms
    )
    counted = select(func.count()).select_from(recent.order_by(jobs.c.id.desc()).limit(most).subquery())
    return int(connection.execute(counted).scalar_one())


def count_waiting(connection: Connection, user_id: str, most: int) -> int:
    """How many of the user's requests wait; counted up to `most`."""
    some = select(_ONE).where(WAITING, _USER).limit(most).subquery()
    return int(connection.execute(select(func.count()).select_from(some), {"user_id": user_id}).scalar_one())


def bytes_stored(connection: Connection, user_id: str) -> int:
    """The total size of the user's pictures in bytes, without those that were removed, and of input pictures that are still stored."""
    pictures = select(func.coalesce(func.sum(images.c.bytes), 0)).join(jobs, jobs.c.id == images.c.job_id)
    uploaded = select(func.coalesce(func.sum(inputs.c.bytes), 0)).where(inputs.c.user_id == user_id)
    total = pictures.where(jobs.c.user_id == user_id, HAS_PICTURES).scalar_subquery() + uploaded.scalar_subquery()
    return int(connection.execute(select(total)).scalar_one())
