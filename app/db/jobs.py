"""Jobs: the clients' requests as rows. Insert, find, list, and `move`, the one compare-and-set."""

from collections.abc import Iterable, Mapping, Sequence
from typing import Any, NamedTuple

from sqlalchemy import (
    ColumnElement,
    Connection,
    Integer,
    Select,
    bindparam,
    case,
    func,
    insert,
    literal_column,
    select,
    tuple_,
)

from app.db import compare_and_set
from app.db.clock import statement_now_ms
from app.db.engine import Transaction
from app.db.tables import DOWNLOADING, ENDED, OPEN, WAITING, jobs, model_key, queues
from app.domain.fair_queueing import Priority
from app.domain.operations import Operation, queue_key
from app.domain.states import FINAL, TABLE, Status, Step


class Job(NamedTuple):
    """A request as it was when it was read. Times in ms since the epoch; see `tables.jobs` for the meanings."""

    id: str
    correlation_id: str
    user_id: str
    model: str
    prompt: str
    parameters: Mapping[str, Any]
    number_of_images: int
    status: Status
    progress: int
    progress_note: str | None
    version: int
    last_event: int
    number: int
    priority: int
    virtual_start: int
    queued_at: int
    held_since: int | None
    raised: int
    due_at: int
    deadline_at: int | None
    holder: str | None
    connection_id: str | None
    lease: str | None
    lease_until: int | None
    attempt: int
    attempt_until: int | None
    handed_over: bool
    strikes: int
    avoid: str | None
    download_attempt: int
    sources: Sequence[str] | None
    source_host: str | None
    source_metadata: Mapping[str, Any] | None
    error_code: str | None
    error: str | None
    reason: str | None
    created_at: int
    updated_at: int
    started_at: int | None
    generated_at: int | None
    finished_at: int | None
    any_model: bool
    style: str | None
    variables: Mapping[str, str] | None
    original_prompt: str | None
    batch_id: str | None
    batch_index: int | None
    custom_id: str | None
    retry_of: str | None
    replaced_by: str | None
    fingerprint: str | None
    cache: str | None
    follows: str | None
    followed: bool
    cached_from: str | None
    operation: str
    parent_id: str | None
    keep_days: int | None
    remove_at: int | None
    pictures_removed_at: int | None
    previews: int
    # not a column: whether a webhook is to be told of the step that made this row what it is
    notify: bool = False

    @property
    def queue_key(self) -> str:
        """The name of its queue."""
        return queue_key(self.model, self.operation)


class JobSummary(NamedTuple):
    """The status of a request for a client that polls: some columns of `Job`, none of them large."""

    id: str
    correlation_id: str
    user_id: str
    status: Status
    progress: int
    progress_note: str | None
    version: int
    error_code: str | None
    error: str | None
    reason: str | None
    created_at: int
    updated_at: int
    cached_from: str | None


STATEMENT_NOW = statement_now_ms()
COLUMNS = [jobs.c[name] for name in Job._fields[:-1]]
_STATUS = Job._fields.index("status")
_ONE = literal_column("1", Integer)
# The defaults of a new job, the same as in `tables.jobs`.
_NEW = dict.fromkeys(Job._fields) | {
    "status": Status.ACCEPTED,
    "progress": 0,
    "version": 1,
    "last_event": 0,
    "number": 0,
    "attempt": 0,
    "handed_over": False,
    "any_model": False,
    "priority": Priority.NORMAL,
    "virtual_start": 0,
    "raised": 0,
    "strikes": 0,
    "download_attempt": 0,
    "followed": False,
    "operation": Operation.CREATE,
    "previews": 0,
    "notify": False,
}

ORDER = (jobs.c.priority, jobs.c.virtual_start, jobs.c.id)  # of one model's queue
_ADD = insert(jobs)
_FIND = select(*COLUMNS).where(jobs.c.id == bindparam("job_id"))
_FIND_TO_CHANGE = _FIND.with_for_update()
_child = jobs.alias("child")
# Limited for each parent, which a query grouped by parents could not be without reading all of their children.
_newest_children = (
    select(_child.c.id)
    .where(_child.c.parent_id == jobs.c.id)
    .order_by(_child.c.id.desc())
    .limit(bindparam("limit", type_=Integer))
    .correlate(jobs)
    .subquery()
)
_CHILDREN = select(
    jobs.c.id, select(func.aggregate_strings(_newest_children.c.id, " ")).correlate(jobs).scalar_subquery()
).where(jobs.c.id.in_(bindparam("parent_ids", expanding=True)))
_FIND_SUMMARY = _FIND.with_only_columns(*[jobs.c[name] for name in JobSummary._fields])
FIRST_WAITING = select(_ONE).where(WAITING, jobs.c.due_at <= STATEMENT_NOW).order_by(model_key, *ORDER).limit(_ONE)
_download_due = (DOWNLOADING, jobs.c.due_at <= STATEMENT_NOW)
_ANY_DOWNLOAD = select(_ONE).where(*_download_due).limit(_ONE)
# The running downloads, counted by extension and host. Grouped as `ix_jobs_download_running` is ordered: otherwise SQLite would
# read the index of everything that is due. An expired lease is not a running download.
_running = (
    select(
        jobs.c.holder, jobs.c.source_host, func.sum(case((jobs.c.due_at > STATEMENT_NOW, 1), else_=0)).label("count")
    )
    .where(DOWNLOADING, jobs.c.lease.is_not(None))
    .group_by(jobs.c.holder, jobs.c.source_host)
    .cte("running")
)


def _busy(column: ColumnElement[Any], most: str) -> Select[Any]:
    """The extensions or hosts with at least `most` running downloads."""
    busy = func.sum(_running.c.count) >= bindparam(most, type_=Integer)
    return select(column).where(column.is_not(None)).group_by(column).having(busy)


_may_be_claimed = (
    *_download_due,
    jobs.c.holder.is_(None) | jobs.c.holder.not_in(_busy(_running.c.holder, "per_extension")),
    jobs.c.source_host.is_(None) | jobs.c.source_host.not_in(_busy(_running.c.source_host, "per_host")),
)
_second_download = select(_ONE).where(*_may_be_claimed).order_by(jobs.c.due_at).limit(_ONE).offset(_ONE)
_NEXT_DOWNLOAD = (
    select(*COLUMNS, _second_download.correlate(None).scalar_subquery())
    .where(*_may_be_claimed)
    .order_by(jobs.c.due_at)
    .limit(_ONE)
    .with_for_update(skip_locked=True)
)
_before = tuple_(*ORDER) < tuple_(*(bindparam(column.name, type_=column.type) for column in ORDER))
# Ordered, so that PostgreSQL reads the index of the queue backwards; otherwise it would read all rows.
_ahead = (
    select(_ONE)
    .where(WAITING, model_key == bindparam("model"), _before)
    .order_by(*(column.desc() for column in ORDER))
    .limit(bindparam("limit", type_=Integer))
)
_virtual_time = select(queues.c.virtual_time).where(
    queues.c.model == bindparam("model"), queues.c.priority == bindparam("priority")
)
_COUNT_AHEAD = select(func.count(), func.coalesce(_virtual_time.scalar_subquery(), 0)).select_from(_ahead.subquery())


def from_row(row: Sequence[Any]) -> Job:
    """The job in a row of `COLUMNS`."""
    values = list(row)
    values[_STATUS] = Status(values[_STATUS])
    return Job(*values)


def add(tx: Transaction, job_id: str, values: Mapping[str, Any], *, notify: bool = False) -> Job:
    """Insert a new request with status accepted; its times are the transaction's."""
    times = dict.fromkeys(("created_at", "updated_at", "due_at", "queued_at"), tx.now)
    row = {"id": job_id, "status": Status.ACCEPTED, **times, **values}
    tx.connection.execute(_ADD, row)
    return Job(**{**_NEW, **row, "notify": notify})


def add_all(tx: Transaction, rows: Sequence[Mapping[str, Any]]) -> None:
    """Insert many requests by one statement. Each row has an `id` and the same other columns; its times and its status are
    as those of `add`."""
    common = {"status": Status.ACCEPTED, **dict.fromkeys(("created_at", "updated_at", "due_at", "queued_at"), tx.now)}
    tx.connection.execute(_ADD, [{**common, **row} for row in rows])


def move(
    tx: Transaction, job_id: str, step: Step, expected: Mapping[str, Any] | None = None, **values: Any
) -> Job | None:
    """Take `step` if the job is in one of its source states and its columns have the `expected` values; None if not.

    Every change of a job goes through this compare-and-set. None is normal: another process was faster.
    `values` may contain AtLeast, FromNow and FromNowCapped (see `compare_and_set`).
    """
    statement, parameters = compare_and_set.statement(step, expected or {}, values)
    row = tx.connection.execute(statement, {"job_id": job_id, **parameters}).first()
    return None if row is None else from_row(row)


def move_all(tx: Transaction, found: Sequence[Job], step: Step, **values: Any) -> list[Job]:
    """Take `step` with these jobs, which the transaction has locked, by one statement; returns them as they are then."""
    statement = compare_and_set.step_alone(step).where(
        jobs.c.id == bindparam("job_id"), jobs.c.version == bindparam("known_version")
    )
    rows = [{"job_id": job.id, "known_version": job.version} for job in found]
    if rows and tx.connection.execute(statement.values(**values), rows).rowcount != len(rows):
        raise RuntimeError(f"{step} is possible only with jobs that are locked")
    transition = TABLE[step]
    changed = {"status": transition.target, "updated_at": tx.now, **values}
    return [
        job._replace(version=job.version + 1, last_event=job.last_event + (transition.event is not None), **changed)
        for job in found
    ]


def find(connection: Connection, job_id: str) -> Job | None:
    row = connection.execute(_FIND, {"job_id": job_id}).first()
    return None if row is None else from_row(row)


def find_summary(connection: Connection, job_id: str) -> JobSummary | None:
    row = connection.execute(_FIND_SUMMARY, {"job_id": job_id}).first()
    return None if row is None else JobSummary(*row)._replace(status=Status(row.status))


def find_to_change(tx: Transaction, job_id: str) -> Job | None:
    """The job of that id, locked until the transaction ends; or None."""
    row = tx.connection.execute(_FIND_TO_CHANGE, {"job_id": job_id}).first()
    return None if row is None else from_row(row)


def find_all(connection: Connection, job_ids: Iterable[str]) -> list[Job]:
    """The jobs with these ids that exist."""
    return listed(connection, select(*COLUMNS).where(jobs.c.id.in_(list(job_ids))))


def of_parent(
    connection: Connection, parent_id: str, user_id: str | None, status: Status | None, before: str | None, limit: int
) -> list[Job]:
    """The jobs that were made from a picture of this one, newest first; of all users if `user_id` is None."""
    query = select(*COLUMNS).where(jobs.c.parent_id == parent_id)
    query = query if user_id is None else query.where(jobs.c.user_id == user_id)
    return _newest(connection, query if status is None else query.where(jobs.c.status == status), before, limit)


def children(connection: Connection, parent_ids: Sequence[str], limit: int) -> dict[str, list[str]]:
    """The ids of the newest jobs that were made from pictures of these, newest first: `limit` of each, by the parent's id."""
    found = connection.execute(_CHILDREN, {"parent_ids": parent_ids, "limit": limit})
    return {parent_id: sorted(ids.split(), reverse=True) for parent_id, ids in found if ids}


def of_user(connection: Connection, user_id: str, status: Status | None, before: str | None, limit: int) -> list[Job]:
    """A user's jobs, newest first; `before` is the id where the last page ended (ids grow with time)."""
    query = select(*COLUMNS).where(jobs.c.user_id == user_id)
    return _newest(connection, query if status is None else query.where(jobs.c.status == status), before, limit)


def of_all_users(connection: Connection, status: Status | None, before: str | None, limit: int) -> list[Job]:
    """The jobs of all users, newest first; `before` as in `of_user`."""
    query = select(*COLUMNS)
    if status is not None:
        query = query.where(ENDED if status in FINAL else OPEN, jobs.c.status == status)
    return _newest(connection, query, before, limit)


def ahead_of(connection: Connection, job: Job, most: int) -> tuple[int, int]:
    """How many waiting jobs for the same model are ahead of this one, counted up to `most`; and the virtual time of its
    queue."""
    order = {column.name: getattr(job, column.name) for column in ORDER}
    values = {"model": job.queue_key, "limit": most, **order}
    ahead, virtual_time = connection.execute(_COUNT_AHEAD, values).one()
    return int(ahead), int(virtual_time)


def any_download_due(connection: Connection) -> bool:
    return connection.execute(_ANY_DOWNLOAD).first() is not None


def next_download(tx: Transaction, per_extension: int, per_host: int) -> tuple[Job, bool] | None:
    """The first job whose download is due, and whether there are more; None if there is none.

    Left out are the jobs of extensions with `per_extension` running downloads, and of hosts with `per_host`: the others
    need not wait for a slow host. The job is locked; concurrent transactions skip it and find the next one. They do not
    see each other's claims, so a limit may be exceeded by those that are made at the same moment.
    """
    row = tx.connection.execute(_NEXT_DOWNLOAD, {"per_extension": per_extension, "per_host": per_host}).first()
    if row is None:
        return None
    *found, second = row
    return from_row(found), second is not None


def late(connection: Connection, limit: int) -> list[Job]:
    """Jobs whose client's deadline has passed."""
    query = select(*COLUMNS).where(OPEN, jobs.c.deadline_at.is_not(None), jobs.c.deadline_at <= STATEMENT_NOW)
    # ordered, so that PostgreSQL uses the index even if nearly all jobs wait
    return listed(connection, query.order_by(jobs.c.deadline_at).limit(limit))


def waiting_since(
    connection: Connection, key: str, before_ms: int, limit: int, any_model: bool | None = None
) -> list[Job]:
    """Jobs of the queue `key` without a deadline of their own that wait since before `before_ms`, oldest first.

    `any_model` selects those whose client named no model, or those whose client did; None is both.
    """
    query = select(*COLUMNS).where(WAITING, model_key == key, jobs.c.queued_at <= before_ms)
    query = query.where(jobs.c.deadline_at.is_(None))
    if any_model is not None:
        query = query.where(jobs.c.any_model if any_model else ~jobs.c.any_model)
    return listed(connection, query.order_by(jobs.c.queued_at).limit(limit))


def count_waiting(connection: Connection, most: int) -> int:
    """How many jobs wait; counted up to `most`."""
    queue = select(_ONE).where(WAITING).order_by(model_key, *ORDER).limit(most)
    return int(connection.execute(select(func.count()).select_from(queue.subquery())).scalar_one())


def any_waiting(connection: Connection) -> bool:
    """True if at least one job waits and is due."""
    return connection.execute(FIRST_WAITING).first() is not None


def listed(connection: Connection, query: Select[Any], parameters: Mapping[str, Any] | None = None) -> list[Job]:
    """The jobs that a query for `COLUMNS` returns."""
    return [from_row(row) for row in connection.execute(query, parameters)]


def _newest(connection: Connection, query: Select[Any], before: str | None, limit: int) -> list[Job]:
    if before is not None:
        query = query.where(jobs.c.id < before)
    return listed(connection, query.order_by(jobs.c.id.desc()).limit(limit))
