"""Waiting jobs whose priority class is raised because they have waited for long."""

from sqlalchemy import Connection, bindparam, exists, func, literal_column, select

from app.db import pauses
from app.db.jobs import COLUMNS, Job, listed
from app.db.tables import WAITING, Ms, jobs, model_name
from app.domain.fair_queueing import Priority
from app.domain.pauses import PauseKind

_first = select(func.min(jobs.c.user_id).label("user_id")).where(WAITING)
# one index lookup for each user (a loose index scan)
_users = _first.cte("users_waiting", recursive=True)
_users = _users.union_all(
    select(_first.where(jobs.c.user_id > _users.c.user_id).correlate(_users).scalar_subquery()).where(
        _users.c.user_id.is_not(None)
    )
)
_oldest = (
    select(jobs.c.id)
    .where(WAITING, jobs.c.priority.in_((Priority.NORMAL, Priority.LOW)), jobs.c.user_id == _users.c.user_id)
    .where(~pauses.paused(PauseKind.MODEL, model_name))
    .order_by(jobs.c.status, jobs.c.id)
    .limit(literal_column("1"))
    .correlate(_users)
    .scalar_subquery()
)
_other = jobs.alias("other")
_other_is_raised = exists().where(
    _other.c.user_id == jobs.c.user_id,
    _other.c.status == literal_column("'accepted'"),
    _other.c.held_since.is_(None),
    _other.c.raised > literal_column("0"),
    _other.c.id != jobs.c.id,
)
_AGED = select(*COLUMNS).where(
    jobs.c.id.in_(select(_oldest).where(_users.c.user_id.is_not(None))),
    jobs.c.queued_at <= bindparam("now", type_=Ms) - bindparam("age", type_=Ms) * (jobs.c.raised + 1),
    ~_other_is_raised,
)


def aged(connection: Connection, now_ms: int, age_ms: int) -> list[Job]:
    """The earliest job of each user in the classes low and normal, if it waits for `age_ms`, and for as long again since each
    raise.

    A user who has a raised job waiting has no other one raised: the rest of the user's jobs keep their order.
    """
    return listed(connection, _AGED, {"now": now_ms, "age": age_ms})
