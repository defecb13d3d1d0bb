"""Stored pictures, the files that downloads mean to write, and the uploads that hand pictures over."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from sqlalchemy import Connection, and_, delete, exists, insert, select, update
from sqlalchemy.sql.elements import ColumnElement

from app.db.engine import Transaction
from app.db.tables import files, images, jobs, uploads


@dataclass(frozen=True, slots=True)
class StoredImage:
    """One picture of a completed request. `source_url` is where the extension said it is; sizes in px and bytes."""

    position: int
    file: str
    source_url: str | None
    width: int
    height: int
    bytes: int
    sha256: str


def add(tx: Transaction, job_id: str, pictures: Iterable[StoredImage]) -> None:
    """Write down the pictures of a job that completes, and that their files are no longer in the making."""
    rows = [
        {
            "job_id": job_id,
            "position": p.position,
            "file": p.file,
            "source_url": p.source_url,
            "width": p.width,
            "height": p.height,
            "bytes": p.bytes,
            "sha256": p.sha256,
            "created_at": tx.now,
        }
        for p in pictures
    ]
    tx.connection.execute(insert(images), rows)
    tx.connection.execute(delete(files).where(files.c.name.in_([row["file"] for row in rows])))


def of_job(connection: Connection, job_id: str) -> list[StoredImage]:
    """The pictures of a completed request, in order."""
    columns = [images.c[name] for name in ("position", "file", "source_url", "width", "height", "bytes", "sha256")]
    query = select(*columns).where(images.c.job_id == job_id).order_by(images.c.position)
    return [StoredImage(*row) for row in connection.execute(query)]


def of_file(connection: Connection, file: str) -> StoredImage | None:
    """The picture that is kept under this file name."""
    columns = [images.c[name] for name in ("position", "file", "source_url", "width", "height", "bytes", "sha256")]
    row = connection.execute(select(*columns).where(images.c.file == file)).first()
    return None if row is None else StoredImage(*row)


def intend(tx: Transaction, job_id: str, names: Sequence[str]) -> None:
    """Write down the files a download is about to make, so that a crash leaves none that nobody knows of."""
    tx.connection.execute(insert(files), [{"name": name, "job_id": job_id, "created_at": tx.now} for name in names])


def intended_before(connection: Connection, before_ms: int, limit: int) -> list[str]:
    """Names of files that were begun before `before_ms` and belong to no completed request."""
    query = select(files.c.name).where(files.c.created_at < before_ms).order_by(files.c.created_at).limit(limit)
    return list(connection.execute(query).scalars())


def forget_intended(tx: Transaction, names: Iterable[str]) -> None:
    """The files of these names are gone."""
    tx.connection.execute(delete(files).where(files.c.name.in_(list(names))))


def is_kept(connection: Connection, name: str) -> bool:
    """True where a completed request owns the file."""
    return bool(connection.execute(select(exists().where(images.c.file == name))).scalar_one())


def reserve_upload(tx: Transaction, job_id: str, attempt: int, position: int) -> bool:
    """Take the one place for this picture; False where it is taken already."""
    taken = tx.connection.execute(
        tx.upsert(uploads)
        .values(job_id=job_id, attempt=attempt, position=position, created_at=tx.now)
        .on_conflict_do_nothing()
    )
    return taken.rowcount == 1


def complete_upload(tx: Transaction, job_id: str, attempt: int, position: int, sha256: str, size: int) -> None:
    """The bytes are staged: note what they are."""
    this = _this_upload(job_id, attempt, position)
    tx.connection.execute(update(uploads).where(this).values(sha256=sha256, bytes=size))


def release_upload(tx: Transaction, job_id: str, attempt: int, position: int) -> None:
    """The bytes did not arrive whole: the place may be taken again."""
    this = _this_upload(job_id, attempt, position)
    tx.connection.execute(delete(uploads).where(this, uploads.c.sha256.is_(None)))


def uploads_left_behind(connection: Connection, before_ms: int, limit: int) -> list[tuple[str, int, int]]:
    """Uploads begun before `before_ms` whose job has ended or is gone: (job id, attempt, position)."""
    still_open = exists().where(jobs.c.id == uploads.c.job_id, jobs.c.status.in_(("processing", "downloading")))
    query = select(uploads.c.job_id, uploads.c.attempt, uploads.c.position)
    query = query.where(uploads.c.created_at < before_ms, ~still_open).order_by(uploads.c.created_at).limit(limit)
    return [(row.job_id, row.attempt, row.position) for row in connection.execute(query)]


def forget_upload(tx: Transaction, job_id: str, attempt: int, position: int) -> None:
    """The staged bytes are gone, and so is their record."""
    tx.connection.execute(delete(uploads).where(_this_upload(job_id, attempt, position)))


def _this_upload(job_id: str, attempt: int, position: int) -> ColumnElement[bool]:
    return and_(uploads.c.job_id == job_id, uploads.c.attempt == attempt, uploads.c.position == position)
