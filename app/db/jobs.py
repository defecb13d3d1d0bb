"""Jobs: the clients' requests as rows. Insert, find, list, and `move`, the one compare-and-set."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any, NamedTuple

from sqlalchemy import (
    ColumnClause,
    Connection,
    Integer,
    Select,
    bindparam,
    func,
    insert,
    literal,
    literal_column,
    select,
    tuple_,
)

from app.db import compare_and_set
from app.db.clock import statement_now_ms
from app.db.engine import Transaction
from app.db.tables import DOWNLOADING, ENDED, OPEN, WAITING, Ms, jobs
from app.domain.states import FINAL, Status, Step


class Job(NamedTuple):
    """One request as it stood when it was read. Times in ms since the epoch; see `tables.jobs` for the meanings."""

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
    place: int
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
    source_metadata: Mapping[str, Any] | None
    error_code: str | None
    error: str | None
    reason: str | None
    created_at: int
    updated_at: int
    started_at: int | None
    generated_at: int | None
    finished_at: int | None


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


NOW = statement_now_ms()
COLUMNS = [jobs.c[name] for name in Job._fields]
_STATUS = Job._fields.index("status")
_SUMMARY_STATUS = JobSummary._fields.index("status")
_ONE: ColumnClause[int] = literal_column("1")
# What a new job has where the caller names nothing else; `tables.jobs` has the same as the database's defaults.
_NEW = dict.fromkeys(Job._fields) | {
    "status": Status.ACCEPTED,
    "progress": 0,
    "version": 1,
    "last_event": 0,
    "number": 0,
    "attempt": 0,
    "handed_over": False,
    "strikes": 0,
    "download_attempt": 0,
}

_ADD = insert(jobs)
_FIND = select(*COLUMNS).where(jobs.c.id == bindparam("job_id"))
_FIND_TO_CHANGE = _FIND.with_for_update()
_FIND_SUMMARY = _FIND.with_only_columns(*[jobs.c[name] for name in JobSummary._fields])
FIRST_WAITING = select(literal(1)).where(WAITING, jobs.c.due_at <= NOW).order_by(jobs.c.place, jobs.c.id).limit(_ONE)
_download_due = (DOWNLOADING, jobs.c.due_at <= NOW)
_ANY_DOWNLOAD = select(literal(1)).where(*_download_due).limit(_ONE)
_second_download = select(literal(1)).where(*_download_due).order_by(jobs.c.due_at).limit(_ONE).offset(_ONE)
_NEXT_DOWNLOAD = (
    select(*COLUMNS, _second_download.correlate(None).scalar_subquery())
    .where(*_download_due)
    .order_by(jobs.c.due_at)
    .limit(_ONE)
    .with_for_update(skip_locked=True)
)
_before = tuple_(jobs.c.place, jobs.c.id) < tuple_(
    bindparam("place", type_=Ms), bindparam("job_id", type_=jobs.c.id.type)
)
# Those nearest, by the index of the queue: without an order PostgreSQL counts any rows it finds, by reading all.
_ahead = (
    select(literal(1))
    .where(WAITING, jobs.c.model == bindparam("model"), _before)
    .order_by(jobs.c.place.desc(), jobs.c.id.desc())
    .limit(bindparam("limit", type_=Integer))
)
_COUNT_AHEAD = select(func.count()).select_from(_ahead.subquery())


def made(row: Sequence[Any]) -> Job:
    """The job of a row that a statement for `COLUMNS` found."""
    values = list(row)
    values[_STATUS] = Status(values[_STATUS])
    return Job._make(values)


def add(tx: Transaction, job_id: str, values: Mapping[str, Any]) -> Job:
    """Insert a new request with status accepted; its times are the transaction's."""
    times = {"created_at": tx.now, "updated_at": tx.now, "due_at": tx.now}
    row = {"id": job_id, "status": Status.ACCEPTED, **times, **values}
    tx.connection.execute(_ADD, row)
    return Job(**{**_NEW, **row})


def move(tx: Transaction, job_id: str, step: Step, held: Mapping[str, Any] | None = None, **values: Any) -> Job | None:
    """Take `step` where the job still is in one of its sources and its columns are as `held` says; None where not.

    This is the compare-and-set that every change of a job goes through. None is normal: another process was faster.
    Beside plain values, `values` take AtLeast, FromNow and FromNowCapped (see `compare_and_set`).
    """
    statement, parameters = compare_and_set.statement(step, held or {}, values)
    row = tx.connection.execute(statement, {"job_id": job_id, **parameters}).first()
    return None if row is None else made(row)


def find(connection: Connection, job_id: str) -> Job | None:
    """The job of that id, or None."""
    row = connection.execute(_FIND, {"job_id": job_id}).first()
    return None if row is None else made(row)


def find_summary(connection: Connection, job_id: str) -> JobSummary | None:
    """The status of the job of that id, or None."""
    row = connection.execute(_FIND_SUMMARY, {"job_id": job_id}).first()
    if row is None:
        return None
    values = list(row)
    values[_SUMMARY_STATUS] = Status(values[_SUMMARY_STATUS])
    return JobSummary._make(values)


def find_to_change(tx: Transaction, job_id: str) -> Job | None:
    """The job of that id; no other transaction changes it before this one ends."""
    row = tx.connection.execute(_FIND_TO_CHANGE, {"job_id": job_id}).first()
    return None if row is None else made(row)


def find_all(connection: Connection, job_ids: Iterable[str]) -> list[Job]:
    """Those of these jobs that exist."""
    return listed(connection, select(*COLUMNS).where(jobs.c.id.in_(list(job_ids))))


def of_user(connection: Connection, user_id: str, status: Status | None, before: str | None, limit: int) -> list[Job]:
    """A user's jobs, newest first; `before` is the id where the last page ended (ids grow with time)."""
    query = select(*COLUMNS).where(jobs.c.user_id == user_id)
    return _newest(connection, query if status is None else query.where(jobs.c.status == status), before, limit)


def of_all_users(connection: Connection, status: Status | None, before: str | None, limit: int) -> list[Job]:
    """The same of all users together."""
    query = select(*COLUMNS)
    if status is not None:
        query = query.where(ENDED if status in FINAL else OPEN, jobs.c.status == status)
    return _newest(connection, query, before, limit)


def ahead_of(connection: Connection, job: Job, most: int) -> int:
    """How many waiting jobs for the same model are ahead of this one; counted up to `most`."""
    values = {"model": job.model, "place": job.place, "job_id": job.id, "limit": most}
    return int(connection.execute(_COUNT_AHEAD, values).scalar_one())


def any_download_due(connection: Connection) -> bool:
    """True where there is a job whose download is due and not under way."""
    return connection.execute(_ANY_DOWNLOAD).first() is not None


def next_download(tx: Transaction) -> tuple[Job, bool] | None:
    """The first job whose download is due and not under way, and whether there are more; None where there is none.

    Other transactions do not find it before this one ends: they find the next one.
    """
    row = tx.connection.execute(_NEXT_DOWNLOAD).first()
    if row is None:
        return None
    *found, second = row
    return made(found), second is not None


def late(connection: Connection, limit: int) -> list[Job]:
    """Jobs whose client's deadline has passed."""
    query = select(*COLUMNS).where(OPEN, jobs.c.deadline_at.is_not(None), jobs.c.deadline_at <= NOW)
    # in the order of the index: where nearly all jobs wait, PostgreSQL would rather scan the table until it has enough
    return listed(connection, query.order_by(jobs.c.deadline_at).limit(limit))


def models_waited_for(connection: Connection) -> list[str]:
    """The models of the waiting jobs: one index probe a model, however many jobs wait."""
    found: list[str] = []
    query = select(func.min(jobs.c.model)).where(WAITING)
    model = connection.execute(query).scalar_one()
    while model is not None:
        found.append(model)
        model = connection.execute(query.where(jobs.c.model > model)).scalar_one()
    return found


def waiting_since(connection: Connection, model: str, before_ms: int, limit: int) -> list[Job]:
    """Jobs for `model` that have waited since `before_ms` or longer, those that have waited longest first."""
    query = select(*COLUMNS).where(WAITING, jobs.c.model == model, jobs.c.created_at <= before_ms)
    return listed(connection, query.order_by(jobs.c.created_at).limit(limit))


def count_waiting(connection: Connection, most: int) -> int:
    """How many jobs wait; counted up to `most`."""
    queue = select(literal(1)).where(WAITING).order_by(jobs.c.place, jobs.c.id).limit(most)
    return int(connection.execute(select(func.count()).select_from(queue.subquery())).scalar_one())


def any_waiting(connection: Connection) -> bool:
    """True where at least one job waits and is due."""
    return connection.execute(FIRST_WAITING).first() is not None


def listed(connection: Connection, query: Select[Any]) -> list[Job]:
    """The jobs that a query for `COLUMNS` finds."""
    return [made(row) for row in connection.execute(query)]


def _newest(connection: Connection, query: Select[Any], before: str | None, limit: int) -> list[Job]:
    if before is not None:
        query = query.where(jobs.c.id < before)
    return listed(connection, query.order_by(jobs.c.id.desc()).limit(limit))
