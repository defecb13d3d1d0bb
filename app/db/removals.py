"""Removing the pictures of completed requests. Their rows stay, so that the result still tells what there was."""

from collections.abc import Sequence

from sqlalchemy import Integer, bindparam, select

from app.db.engine import Transaction
from app.db.images import GIVEN_UP, of_jobs
from app.db.jobs import COLUMNS, Job, listed
from app.db.tables import TO_REMOVE, files, jobs

_DUE = (
    select(*COLUMNS)
    .where(TO_REMOVE, jobs.c.remove_at <= bindparam("now", type_=jobs.c.remove_at.type))
    .order_by(jobs.c.remove_at)
    .limit(bindparam("limit", type_=Integer))
    .with_for_update(skip_locked=True)
)


def due(tx: Transaction, limit: int, now: int | None = None) -> list[Job]:
    """Requests whose pictures are due to be removed, the most overdue first; locked until the transaction ends."""
    return listed(tx.connection, _DUE, {"limit": limit, "now": tx.now if now is None else now})


def give_up_files(tx: Transaction, job_ids: Sequence[str]) -> list[str]:
    """Put the pictures of these requests on the list of those whose files the cleanup deletes; returns their names."""
    found = of_jobs(tx.connection, job_ids)
    rows = [
        {"name": picture.file, "job_id": job_id, "created_at": GIVEN_UP}
        for job_id in sorted(found)
        for picture in found[job_id]
    ]
    if rows:
        insertion = tx.upsert(files)
        statement = insertion.on_conflict_do_update(index_elements=["name"], set_={"created_at": GIVEN_UP})
        tx.connection.execute(statement, rows)
    return [picture.file for pictures in found.values() for picture in pictures]
