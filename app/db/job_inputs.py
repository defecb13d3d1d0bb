"""The input pictures of requests, each with a file of its own until its request has ended."""

from collections.abc import Sequence
from dataclasses import asdict, dataclass

from sqlalchemy import Connection, bindparam, delete, insert, select, update

from app.db.engine import Transaction
from app.db.input_tables import job_inputs


@dataclass(frozen=True, slots=True)
class JobInput:
    """An input picture of a request: sizes in px and bytes, `strength` from 0 to 1."""

    position: int
    role: str
    strength: float | None
    file: str
    width: int
    height: int
    bytes: int
    sha256: str


_COLUMNS = [job_inputs.c[name] for name in JobInput.__dataclass_fields__]
_OF_JOB = select(*_COLUMNS).where(job_inputs.c.job_id == bindparam("job_id")).order_by(job_inputs.c.position)
_OF_ENDED = (
    select(job_inputs.c.job_id, job_inputs.c.position, job_inputs.c.file)
    .where(job_inputs.c.ended_at.is_not(None))
    .order_by(job_inputs.c.ended_at)
    .limit(bindparam("limit"))
)


def add(tx: Transaction, job_id: str, pictures: Sequence[JobInput]) -> None:
    """Add the pictures that a new request is made from."""
    tx.connection.execute(insert(job_inputs), [{"job_id": job_id, **asdict(each)} for each in pictures])


def of_job(connection: Connection, job_id: str) -> list[JobInput]:
    """Those of a request that has not ended, in order."""
    return [JobInput(*row) for row in connection.execute(_OF_JOB, {"job_id": job_id})]


def end(tx: Transaction, job_id: str) -> None:
    """The request has ended: its pictures are not needed any more."""
    tx.connection.execute(update(job_inputs).where(job_inputs.c.job_id == job_id).values(ended_at=tx.now))


def of_ended(connection: Connection, limit: int) -> list[tuple[str, int, str]]:
    """Request, position and file of pictures that are not needed any more."""
    return [(row.job_id, row.position, row.file) for row in connection.execute(_OF_ENDED, {"limit": limit})]


def remove(tx: Transaction, some: Sequence[tuple[str, int, str]]) -> None:
    """Forget pictures whose files are removed."""
    tx.connection.execute(
        delete(job_inputs).where(
            job_inputs.c.job_id == bindparam("this_job"), job_inputs.c.position == bindparam("this_position")
        ),
        [{"this_job": job_id, "this_position": position} for job_id, position, _ in some],
    )
