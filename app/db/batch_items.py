"""The items of batches: jobs that belong to one."""

from collections.abc import Iterable, Mapping
from typing import NamedTuple

from sqlalchemy import Connection, Integer, bindparam, func, literal_column, select, update

from app.db.compare_and_set import step_alone
from app.db.engine import Transaction
from app.db.jobs import COLUMNS, Job, listed
from app.db.tables import ACCEPTED, CURRENT, ENDED, HELD_BACK, RELEASED, jobs, one_of
from app.domain.fair_queueing import Priority
from app.domain.states import Status, Step

_OF_BATCH = jobs.c.batch_id == bindparam("batch_id")
_ONE = literal_column("1", Integer)
_LIMIT = bindparam("limit", type_=Integer)
_COUNTS = (
    select(jobs.c.status, func.count(), func.min(jobs.c.started_at)).where(RELEASED, _OF_BATCH).group_by(jobs.c.status)
)
_RELEASED_IDS = select(jobs.c.id).where(RELEASED, _OF_BATCH)
_COUNT_HELD_OF_USER = select(func.count()).select_from(
    select(_ONE)
    .where(HELD_BACK, jobs.c.user_id == bindparam("user_id"), jobs.c.batch_id.is_not(None))
    .limit(_LIMIT)
    .subquery()
)
_LAST_COMPLETED = (
    select(jobs.c.started_at, jobs.c.finished_at)
    .where(CURRENT, _OF_BATCH, one_of("completed"))
    .order_by(jobs.c.status.desc(), jobs.c.batch_index.desc())
    .limit(_LIMIT)
)
_REPLACE = update(jobs).where(
    jobs.c.id == bindparam("job_id"), CURRENT, ENDED, jobs.c.version == bindparam("expected_version")
)
_REPLACE = _REPLACE.values(replaced_by=bindparam("new_id"), version=jobs.c.version + 1)
_held = select(jobs.c.id).where(HELD_BACK, jobs.c.batch_id == bindparam("of_batch")).with_for_update(skip_locked=True)
_PRIORITISE_HELD = (
    step_alone(Step.RAISE).where(jobs.c.id.in_(_held)).values(priority=bindparam("new_priority"), raised=0)
)


class ReleasedCounts(NamedTuple):
    """How many items of a batch are in the queue or beyond it, by status, and when the first of them was started (ms)."""

    by_status: Mapping[Status, int]
    started_at: int | None

    @property
    def all(self) -> int:
        return sum(self.by_status.values())


def released(connection: Connection, batch_id: str) -> ReleasedCounts:
    """The items that are in the queue or beyond it, and have not ended."""
    rows = list(connection.execute(_COUNTS, {"batch_id": batch_id}))
    started = [row[2] for row in rows if row[2] is not None]
    return ReleasedCounts({Status(row[0]): row[1] for row in rows}, min(started, default=None))


def released_ids(connection: Connection, batch_id: str) -> list[str]:
    """The ids of the items that are in the queue or beyond it, and have not ended."""
    return list(connection.execute(_RELEASED_IDS, {"batch_id": batch_id}).scalars())


def held_of_user(connection: Connection, user_id: str, most: int) -> int:
    """How many items of all batches of the user are held; counted up to `most`."""
    return int(connection.execute(_COUNT_HELD_OF_USER, {"user_id": user_id, "limit": most}).scalar_one())


def first_accepted(connection: Connection, batch_id: str) -> Job | None:
    """The item that is handed out first: one in the queue, or else, if all are held back, the first of these."""
    for condition, order in ((RELEASED & ACCEPTED, jobs.c.virtual_start), (HELD_BACK, jobs.c.batch_index)):
        query = select(*COLUMNS).where(condition, jobs.c.batch_id == batch_id)
        if found := listed(connection, query.order_by(jobs.c.priority, order).limit(1)):
            return found[0]
    return None


def page(connection: Connection, batch_id: str, status: Status | None, after: int, limit: int) -> list[Job]:
    """The items after number `after`, in their order; of several requests that tried the same one, the newest."""
    query = select(*COLUMNS).where(CURRENT, jobs.c.batch_id == batch_id, jobs.c.batch_index > after)
    if status is not None:
        query = query.where(jobs.c.status == status).order_by(jobs.c.status)
    return listed(connection, query.order_by(jobs.c.batch_index).limit(limit))


def last_completed(connection: Connection, batch_id: str, limit: int) -> list[tuple[int, int]]:
    """When items were started and finished (ms), those with the highest numbers."""
    rows = connection.execute(_LAST_COMPLETED, {"batch_id": batch_id, "limit": limit})
    return [(row[0], row[1]) for row in rows if row[0] is not None and row[1] is not None]


def by_custom_id(connection: Connection, batch_id: str, custom_ids: Iterable[str]) -> list[Job]:
    """The items to which their client gave these ids."""
    query = select(*COLUMNS).where(CURRENT, jobs.c.batch_id == batch_id, jobs.c.custom_id.in_(list(custom_ids)))
    return listed(connection, query)


def by_index(connection: Connection, batch_id: str, numbers: Iterable[int]) -> list[Job]:
    """The items with these numbers."""
    query = select(*COLUMNS).where(CURRENT, jobs.c.batch_id == batch_id, jobs.c.batch_index.in_(list(numbers)))
    return listed(connection, query)


def last_index(connection: Connection, batch_id: str) -> int:
    """The number of the last item."""
    query = select(jobs.c.batch_index).where(CURRENT, jobs.c.batch_id == batch_id)
    return int(connection.execute(query.order_by(jobs.c.batch_index.desc()).limit(1)).scalar_one())


def replace(tx: Transaction, replacements: Iterable[tuple[Job, str]]) -> bool:
    """Let new requests, named by their ids, take the places of these ended ones. False if one is no longer as it was read."""
    rows = [{"job_id": old.id, "expected_version": old.version, "new_id": new_id} for old, new_id in replacements]
    return tx.connection.execute(_REPLACE, rows).rowcount == len(rows)


def prioritise_held(tx: Transaction, batch_id: str, priority: Priority) -> None:
    """Give the held items another priority class."""
    tx.connection.execute(_PRIORITISE_HELD, {"of_batch": batch_id, "new_priority": priority})
