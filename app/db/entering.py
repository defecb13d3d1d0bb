"""A new request enters: its row and the first event of its log. PostgreSQL is told both at once."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from sqlalchemy import bindparam, insert, select

from app.db import events, jobs
from app.db.engine import Transaction
from app.db.jobs import Job
from app.db.prepared import Prepared
from app.db.tables import events as events_table
from app.db.tables import jobs as jobs_table
from app.domain.events import Event

_FIRST = "first_"  # what belongs to the event, where a column of both tables has the name
_FACT = [column for column in events_table.c if column.name not in ("id", "job_id")]
_job = (
    insert(jobs_table)
    .values({name: bindparam(name, type_=jobs_table.c[name].type) for name in jobs.COLUMNS_OF_NEW})
    .returning(jobs_table.c.id)
    .cte("entered")
)
_first = select(_job.c.id, *(bindparam(_FIRST + column.name, type_=column.type) for column in _FACT))
_BOTH = Prepared(insert(events_table).inline().from_select(["job_id", *(column.name for column in _FACT)], _first))


def enter(tx: Transaction, job_id: str, values: Mapping[str, Any], fact: Event) -> Job:
    """Insert a new request with status accepted, and what happened as its first event; times are the transaction's."""
    if tx.writes_alone:  # a statement of SQLite writes to one table
        job = jobs.add(tx, job_id, values)
        events.append(tx, job, fact)
        return job
    job = jobs.new(tx, job_id, values)
    first = {_FIRST + name: value for name, value in events.row(job, fact).items()}
    _BOTH.change(tx.connection, {**jobs.row(job), **first})
    return job
