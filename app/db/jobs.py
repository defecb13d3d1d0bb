"""Jobs: a client's requests as rows. Insert, find, list, and `move`, the one compare-and-set."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any, NamedTuple

from sqlalchemy import (
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
from app.db.clock import asked_ms
from app.db.engine import Transaction
from app.db.prepared import Prepared
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


class Brief(NamedTuple):
    """What is told of a request to whoever asks how it stands: some columns of `Job`, none of them large."""

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


NOW = asked_ms()
COLUMNS = [jobs.c[name] for name in Job._fields]
_STATUS = Job._fields.index("status")
_BRIEF_STATUS = Brief._fields.index("status")


# What is asked for every request is built once: building a statement costs more than SQLite takes to carry it out.
COLUMNS_OF_NEW = (  # what is said of a new row; the rest is as `tables.jobs` has it
    *("id", "correlation_id", "user_id", "model", "prompt", "parameters", "number_of_images", "status", "last_event"),
    *("number", "place", "due_at", "deadline_at", "created_at", "updated_at"),
)
_ADD = Prepared(insert(jobs).inline(), COLUMNS_OF_NEW)
_find = select(*COLUMNS).where(jobs.c.id == bindparam("job_id"))
_FIND, _FIND_TO_CHANGE = Prepared(_find), Prepared(_find.with_for_update())
_FIND_BRIEF = Prepared(_find.with_only_columns(*[jobs.c[name] for name in Brief._fields]))
_due = (WAITING, jobs.c.due_at <= NOW)
ANYONE = select(literal(1)).where(*_due).order_by(jobs.c.place, jobs.c.id).limit(literal_column("1"))
_ANYONE = Prepared(ANYONE)
_download_due = (DOWNLOADING, jobs.c.due_at <= NOW)
_ANY_DOWNLOAD = Prepared(select(literal(1)).where(*_download_due).limit(literal_column("1")))
_second = (
    select(literal(1))
    .where(*_download_due)
    .order_by(jobs.c.due_at)
    .limit(literal_column("1"))
    .offset(literal_column("1"))
)
_next = select(*COLUMNS, _second.correlate(None).scalar_subquery()).where(*_download_due).order_by(jobs.c.due_at)
_NEXT_DOWNLOAD = Prepared(_next.limit(literal_column("1")).with_for_update(skip_locked=True))
_before = tuple_(jobs.c.place, jobs.c.id) < tuple_(
    bindparam("place", type_=Ms), bindparam("job_id", type_=jobs.c.id.type)
)
# Those nearest, by the index of the line: without an order PostgreSQL counts whichever rows it finds, by reading all.
_ahead = (
    select(literal(1))
    .where(WAITING, jobs.c.model == bindparam("model"), _before)
    .order_by(jobs.c.place.desc(), jobs.c.id.desc())
    .limit(bindparam("most", type_=Integer))
)
_AHEAD = Prepared(select(func.count()).select_from(_ahead.subquery()))
# A new job, where nothing else is said: `tables.jobs` says the same to the database.
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


def made(row: Sequence[Any]) -> Job:
    """The job of a row that a statement for `COLUMNS` found."""
    values = list(row)
    values[_STATUS] = Status(values[_STATUS])
    return Job._make(values)


def add(tx: Transaction, job_id: str, values: Mapping[str, Any]) -> Job:
    """Insert a new request with status accepted; its times are the transaction's."""
    times = {"created_at": tx.now, "updated_at": tx.now, "due_at": tx.now}
    row = {**_NEW, "id": job_id, **times, **values}
    _ADD.soon(tx.connection, row)
    return Job(**row)


def move(tx: Transaction, job_id: str, step: Step, held: Mapping[str, Any] | None = None, **values: Any) -> Job | None:
    """Take `step` where the job still stands in one of its sources and its columns are as `held` says; None where not.

    This is the compare-and-set that every change of a job goes through. None is normal: someone was faster.
    Beside plain values, `values` take Raised, In and Capped (see `moving`).
    """
    statement, parameters = compare_and_set.statement(step, {} if held is None else held, values)
    row = statement.row(tx.connection, {"job_id": job_id, **parameters})
    return None if row is None else made(row)


def find(connection: Connection, job_id: str) -> Job | None:
    """The job of that id, or None."""
    return _first(connection, _FIND, {"job_id": job_id})


def find_brief(connection: Connection, job_id: str) -> Brief | None:
    """How the job of that id stands, or None."""
    row = _FIND_BRIEF.row(connection, {"job_id": job_id})
    if row is None:
        return None
    values = list(row)
    values[_BRIEF_STATUS] = Status(values[_BRIEF_STATUS])
    return Brief._make(values)


def find_to_change(tx: Transaction, job_id: str) -> Job | None:
    """The job of that id; nobody else changes it before this transaction ends."""
    return _first(tx.connection, _FIND_TO_CHANGE, {"job_id": job_id})


def find_all(connection: Connection, job_ids: Iterable[str]) -> list[Job]:
    """Those of these jobs that exist."""
    return listed(connection, select(*COLUMNS).where(jobs.c.id.in_(list(job_ids))))


def of_user(connection: Connection, user_id: str, status: Status | None, before: str | None, limit: int) -> list[Job]:
    """A user's jobs, newest first; `before` is the id where the last page ended (ids grow with time)."""
    query = select(*COLUMNS).where(jobs.c.user_id == user_id)
    return _newest(connection, query if status is None else query.where(jobs.c.status == status), before, limit)


def of_everybody(connection: Connection, status: Status | None, before: str | None, limit: int) -> list[Job]:
    """The same of all users together."""
    query = select(*COLUMNS)
    if status is not None:
        query = query.where(ENDED if status in FINAL else OPEN, jobs.c.status == status)
    return _newest(connection, query, before, limit)


def ahead_of(connection: Connection, job: Job, most: int) -> int:
    """How many waiting jobs for the same model stand before this one; counted up to `most`."""
    values = {"model": job.model, "place": job.place, "job_id": job.id, "most": most}
    return int(_AHEAD.one(connection, values)[0])


def any_download_due(connection: Connection) -> bool:
    """True where there is a job whose pictures nobody is fetching, though it is time."""
    return _ANY_DOWNLOAD.row(connection) is not None


def next_download(tx: Transaction) -> tuple[Job, bool] | None:
    """The first job whose pictures nobody is fetching, though it is time, and whether there are more; None where there is none.

    Nobody else finds it before this transaction ends: they find the next one.
    """
    row = _NEXT_DOWNLOAD.row(tx.connection)
    if row is None:
        return None
    *found, second = row
    return made(found), second is not None


def late(connection: Connection, limit: int) -> list[Job]:
    """Jobs whose client's deadline has passed."""
    query = select(*COLUMNS).where(OPEN, jobs.c.deadline_at.is_not(None), jobs.c.deadline_at <= NOW)
    # in the order of the index: where nearly all rows wait, PostgreSQL would rather look at rows until it has enough
    return listed(connection, query.order_by(jobs.c.deadline_at).limit(limit))


def models_waited_for(connection: Connection) -> list[str]:
    """The models that waiting jobs ask for: one index probe a model, however many jobs wait."""
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
    line = select(literal(1)).where(WAITING).order_by(jobs.c.place, jobs.c.id).limit(most)
    return int(connection.execute(select(func.count()).select_from(line.subquery())).scalar_one())


def anyone_waiting(connection: Connection) -> bool:
    """True where at least one job waits and is due."""
    return _ANYONE.row(connection) is not None


def listed(connection: Connection, query: Select[Any]) -> list[Job]:
    """The jobs that a query for `COLUMNS` finds."""
    return [made(row) for row in connection.execute(query)]


def _newest(connection: Connection, query: Select[Any], before: str | None, limit: int) -> list[Job]:
    if before is not None:
        query = query.where(jobs.c.id < before)
    return listed(connection, query.order_by(jobs.c.id.desc()).limit(limit))


def _first(connection: Connection, query: Prepared, values: Mapping[str, Any]) -> Job | None:
    row = query.row(connection, values)
    return None if row is None else made(row)
