"""Jobs that are held back although they are accepted: finding, holding and releasing many of them at once.

The jobs that are found are locked. Those that another transaction has locked are skipped: callers repeat until none is left.
They may therefore hold the lock of a batch, which others acquire after those of its jobs.
"""

from collections.abc import Mapping, Sequence
from typing import Any

from sqlalchemy import Select, bindparam, select

from app.db.clock import statement_now_ms
from app.db.compare_and_set import step_alone
from app.db.engine import Transaction
from app.db.jobs import COLUMNS, ORDER, Job, listed
from app.db.tables import ACCEPTED, CURRENT, FOLLOWING, HELD, HELD_BACK, RELEASED, WAITING, Ms, jobs, model_key
from app.domain.states import Step

_THIS_JOB = jobs.c.id == bindparam("job_id")
_OF_USER = jobs.c.user_id == bindparam("user_id")
_OF_BATCH = jobs.c.batch_id == bindparam("batch_id")
_LIMIT = bindparam("limit", type_=jobs.c.number_of_images.type)
_now = statement_now_ms()
_HOLD = (
    step_alone(Step.HOLD)
    .where(_THIS_JOB, WAITING)
    .values(held_since=_now, deadline_at=bindparam("new_deadline_at", type_=Ms))
)
_RELEASE = (
    step_alone(Step.RELEASE)
    .where(_THIS_JOB, HELD)
    .values(
        held_since=None,
        queued_at=jobs.c.queued_at + _now - jobs.c.held_since,
        due_at=_now,
        virtual_start=bindparam("new_virtual_start"),
        deadline_at=bindparam("new_deadline_at", type_=Ms),
    )
)


def _locked(query: Select[Any]) -> Select[Any]:
    return query.limit(_LIMIT).with_for_update(skip_locked=True)


_HELD = select(*COLUMNS).where(HELD_BACK)
_WAITING_OF_USER = _locked(select(*COLUMNS).where(WAITING, _OF_USER).order_by(model_key, *ORDER))
_WAITING_OF_BATCH = _locked(select(*COLUMNS).where(RELEASED, ACCEPTED, _OF_BATCH))
_HELD_OF_USER = _locked(_HELD.where(_OF_USER, jobs.c.batch_id.is_(None)).order_by(jobs.c.id))
_FOLLOWING_OF_BATCH = _locked(select(*COLUMNS).where(CURRENT, ACCEPTED, FOLLOWING, _OF_BATCH))
_HELD_OF_BATCH = _locked(_HELD.where(_OF_BATCH).order_by(jobs.c.priority, jobs.c.batch_index))


def waiting_of_user(tx: Transaction, user_id: str, limit: int) -> list[Job]:
    """Some jobs of the user that are in the queue."""
    return listed(tx.connection, _WAITING_OF_USER, {"user_id": user_id, "limit": limit})


def waiting_of_batch(tx: Transaction, batch_id: str, limit: int) -> list[Job]:
    """Some items of the batch that are in the queue."""
    return listed(tx.connection, _WAITING_OF_BATCH, {"batch_id": batch_id, "limit": limit})


def following_of_batch(tx: Transaction, batch_id: str, limit: int) -> list[Job]:
    """Some items of the batch that follow another request."""
    return listed(tx.connection, _FOLLOWING_OF_BATCH, {"batch_id": batch_id, "limit": limit})


def held_of_user(tx: Transaction, user_id: str, limit: int) -> list[Job]:
    """The first jobs of the user that are held back and belong to no batch, oldest first."""
    return listed(tx.connection, _HELD_OF_USER, {"user_id": user_id, "limit": limit})


def held_of_batch(tx: Transaction, batch_id: str, limit: int) -> list[Job]:
    """The first items of the batch that are held back, in the order in which they are released."""
    return listed(tx.connection, _HELD_OF_BATCH, {"batch_id": batch_id, "limit": limit})


def hold(tx: Transaction, deadlines: Mapping[str, int | None]) -> None:
    """Hold these jobs, with the deadlines (ms) that they then have; those that wait no longer are left alone."""
    rows = [{"job_id": job_id, "new_deadline_at": deadline} for job_id, deadline in deadlines.items()]
    _execute_all(tx, _HOLD, rows)


def release(tx: Transaction, entries: Mapping[str, tuple[int, int | None]]) -> None:
    """Put these jobs into the queue with a virtual start and a deadline (ms) each; those that are not held are left alone.

    The time for which they were held does not count as waiting.
    """
    rows = [
        {"job_id": job_id, "new_virtual_start": start, "new_deadline_at": deadline}
        for job_id, (start, deadline) in entries.items()
    ]
    _execute_all(tx, _RELEASE, rows)


def _execute_all(tx: Transaction, statement: Any, rows: Sequence[Mapping[str, Any]]) -> None:
    if rows:
        tx.connection.execute(statement, rows)
