"""Identical requests of one user: those whose pictures another one can get, and those that wait for them."""

from collections.abc import Iterable, Mapping, Sequence

from sqlalchemy import Connection, Integer, bindparam, exists, func, literal_column, select, tuple_, update

from app.db.compare_and_set import step_alone
from app.db.engine import Transaction
from app.db.jobs import COLUMNS, Job, from_row, listed
from app.db.tables import ENDED_WITH_FOLLOWERS, FOLLOWING, HELD_BACK, IDENTICAL, counters, jobs
from app.domain.states import Status, Step

_ONE = literal_column("1", Integer)
_THIS_JOB = jobs.c.id == bindparam("job_id")
_same = (IDENTICAL, jobs.c.user_id == bindparam("user_id"), jobs.c.fingerprint == bindparam("fingerprint"))
_identical = select(*COLUMNS).where(*_same).limit(_ONE)
_OPEN = _identical.where(jobs.c.finished_at.is_(None), jobs.c.priority <= bindparam("priority")).order_by(
    jobs.c.finished_at, jobs.c.priority, jobs.c.id
)
_COMPLETED = _identical.where(jobs.c.finished_at.is_not(None)).order_by(
    jobs.c.finished_at.desc(), jobs.c.priority.desc(), jobs.c.id.desc()
)
_MARK = update(jobs).where(_THIS_JOB, IDENTICAL).values(followed=True).returning(jobs.c.status)
_FORGET = update(jobs).where(_THIS_JOB, jobs.c.finished_at.is_not(None)).values(fingerprint=None)
_LOCK_AT_ONCE = select(jobs.c.id).where(_THIS_JOB, IDENTICAL).with_for_update(skip_locked=True)
_FOLLOW = (
    step_alone(Step.FOLLOW)
    .where(_THIS_JOB, HELD_BACK)
    .values(follows=bindparam("new_follows"), cached_from=bindparam("new_cached_from"))
)
_NEWEST_COMPLETED = (
    select(jobs.c.fingerprint, func.max(jobs.c.id))
    .where(
        IDENTICAL,
        jobs.c.user_id == bindparam("user_id"),
        jobs.c.fingerprint.in_(bindparam("fingerprints", expanding=True)),
        jobs.c.finished_at.is_not(None),
    )
    .group_by(jobs.c.fingerprint)
)
_MARK_ALL = update(jobs).where(_THIS_JOB, IDENTICAL).values(followed=True)
FINGERPRINTS_AT_ONCE = 500
_FOLLOWER_ORDER = (jobs.c.priority, jobs.c.id)
_FOLLOWERS = (
    select(*COLUMNS)
    .where(
        FOLLOWING,
        jobs.c.follows == bindparam("leader"),
        tuple_(*_FOLLOWER_ORDER)
        > tuple_(*(bindparam(f"after_{each.name}", type_=each.type) for each in _FOLLOWER_ORDER)),
    )
    .order_by(*_FOLLOWER_ORDER)
    .limit(bindparam("limit", type_=Integer))
    .with_for_update()
)
_ANY_FOLLOWER = select(exists().where(FOLLOWING, jobs.c.follows == bindparam("leader")))
_ENDED_LEADERS = (
    select(jobs.c.id).where(ENDED_WITH_FOLLOWERS).order_by(jobs.c.id).limit(bindparam("limit", type_=Integer))
)

FIRST = (-1, "")  # before every follower


def find_open(connection: Connection, user_id: str, fingerprint: str, priority: int) -> Job | None:
    """The request for this that is in the queue or being made, in this class or a better one; None if there is none."""
    values = {"user_id": user_id, "fingerprint": fingerprint, "priority": priority}
    row = connection.execute(_OPEN, values).first()
    return None if row is None else from_row(row)


def find_completed(connection: Connection, user_id: str, fingerprint: str) -> Job | None:
    """The request for this that was completed last; None if there is none."""
    row = connection.execute(_COMPLETED, {"user_id": user_id, "fingerprint": fingerprint}).first()
    return None if row is None else from_row(row)


def forget(tx: Transaction, job_id: str) -> None:
    """Let no identical request find this one, whose pictures are gone."""
    tx.connection.execute(_FORGET, {"job_id": job_id})


def mark_followed(tx: Transaction, job_id: str) -> Status | None:
    """Note that another request is about to follow this one, and lock it; returns its status.

    None if it is held, has failed or was cancelled meanwhile.
    """
    status = tx.connection.execute(_MARK, {"job_id": job_id}).scalar()
    return None if status is None else Status(status)


def lock_at_once(tx: Transaction, job_id: str) -> bool:
    """Lock this request; False if another transaction has, or if nothing can follow it any more."""
    return tx.connection.execute(_LOCK_AT_ONCE, {"job_id": job_id}).first() is not None


def follow(tx: Transaction, job_id: str, columns: Mapping[str, str | None]) -> None:
    """Let this held request, which the transaction has locked, follow another one: `follows` and `cached_from` are `columns`."""
    tx.connection.execute(_FOLLOW, {"job_id": job_id, **{f"new_{name}": value for name, value in columns.items()}})


def newest_completed(connection: Connection, user_id: str, fingerprints: Sequence[str]) -> dict[str, str]:
    """The ids of completed requests for these, by fingerprint; of several the newest."""
    found: dict[str, str] = {}
    for begin in range(0, len(fingerprints), FINGERPRINTS_AT_ONCE):
        values = {"user_id": user_id, "fingerprints": fingerprints[begin : begin + FINGERPRINTS_AT_ONCE]}
        found |= {row[0]: row[1] for row in connection.execute(_NEWEST_COMPLETED, values)}
    return found


def mark_all_followed(tx: Transaction, job_ids: Iterable[str]) -> None:
    """Note that others are about to follow these completed requests."""
    rows = [{"job_id": job_id} for job_id in sorted(job_ids)]
    if rows:
        tx.connection.execute(_MARK_ALL, rows)


def unmark_followed(tx: Transaction, job_id: str) -> None:
    """Note that no request follows this one any more, unless one does. The caller holds the lock of its row."""
    if not tx.connection.execute(_ANY_FOLLOWER, {"leader": job_id}).scalar_one():
        tx.connection.execute(update(jobs).where(_THIS_JOB).values(followed=False), {"job_id": job_id})


def followers(tx: Transaction, leader_id: str, limit: int, after: tuple[int, str]) -> list[Job]:
    """Requests that follow this one, the best class first and the oldest of it; those after this class and id.

    They are locked until the transaction ends.
    """
    values = {"leader": leader_id, "limit": limit, "after_priority": after[0], "after_id": after[1]}
    return listed(tx.connection, _FOLLOWERS, values)


def ended_leaders(connection: Connection, limit: int) -> Sequence[str]:
    """Requests that have ended and that others may still follow."""
    return connection.execute(_ENDED_LEADERS, {"limit": limit}).scalars().all()


def count(tx: Transaction, name: str) -> None:
    """Count one more."""
    statement = tx.upsert(counters)
    tx.connection.execute(
        statement.on_conflict_do_update(index_elements=["name"], set_={"value": counters.c.value + 1}),
        {"name": name, "value": 1},
    )


def counted(connection: Connection, name: str) -> int:
    """How many were counted."""
    return connection.execute(select(counters.c.value).where(counters.c.name == name)).scalar() or 0
