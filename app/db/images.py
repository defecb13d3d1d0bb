"""Stored pictures, the files that downloads are writing, and uploads."""

from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass
from typing import Any

from sqlalchemy import Connection, and_, bindparam, delete, exists, insert, select, update
from sqlalchemy.sql.elements import ColumnElement

from app.db.clock import now_ms
from app.db.engine import Transaction
from app.db.tables import HAS_PICTURES, files, images, jobs, uploads
from app.domain.upload_urls import UploadLocation

NEWEST = 200
GIVEN_UP = 0  # the `created_at` of a file that is about to be removed


@dataclass(frozen=True, slots=True)
class StoredImage:
    """One picture of a completed request. `source_url` is the address that the extension reported; sizes in px and bytes."""

    position: int
    file: str
    source_url: str | None
    width: int
    height: int
    bytes: int
    sha256: str


_PICTURE: list[ColumnElement[Any]] = [
    images.c[name] for name in ("position", "file", "source_url", "width", "height", "bytes", "sha256")
]
_ADD = insert(images).values(created_at=now_ms())
_OF_JOB = select(*_PICTURE).where(images.c.job_id == bindparam("job_id")).order_by(images.c.position)
_OF_JOBS = (
    select(images.c.job_id, *_PICTURE)
    .where(images.c.job_id.in_(bindparam("job_ids", expanding=True)))
    .order_by(images.c.job_id, images.c.position)
)
_OF_FILE = (
    select(*_PICTURE).join(jobs, jobs.c.id == images.c.job_id).where(images.c.file == bindparam("file"), HAS_PICTURES)
)
_REMOVED_AT = (
    select(jobs.c.pictures_removed_at)
    .join(images, images.c.job_id == jobs.c.id)
    .where(images.c.file == bindparam("file"))
)
_KEPT_MS = (
    select(jobs.c.remove_at - now_ms())
    .join(images, images.c.job_id == jobs.c.id)
    .where(images.c.file == bindparam("file"))
)
_newest = (
    select(*(images.c[name] for name in ("job_id", "source_url", "created_at")))
    .order_by(images.c.job_id.desc())
    .limit(NEWEST)
    .subquery()
)
_INTEND = insert(files).values(created_at=now_ms())
_named = files.c.name.in_(bindparam("names", expanding=True))
_KEEP_INTENDED = delete(files).where(_named, files.c.created_at > GIVEN_UP)
_FORGET_INTENDED = delete(files).where(_named)
_LOCATION = (uploads.c.job_id, uploads.c.attempt, uploads.c.position)
_UPLOADS_OF = select(*_LOCATION).where(uploads.c.job_id == bindparam("job_id"))


def add(tx: Transaction, job_id: str, pictures: Sequence[StoredImage]) -> None:
    """Add the pictures of a job that completes."""
    tx.connection.execute(_ADD, [{"job_id": job_id, **asdict(picture)} for picture in pictures])


def of_job(connection: Connection, job_id: str) -> list[StoredImage]:
    """The pictures of a completed request, in order."""
    return [StoredImage(*row) for row in connection.execute(_OF_JOB, {"job_id": job_id})]


def of_jobs(connection: Connection, job_ids: Iterable[str]) -> dict[str, list[StoredImage]]:
    """The pictures of completed requests, in order, by the id of their request."""
    found: dict[str, list[StoredImage]] = defaultdict(list)
    for job_id, *picture in connection.execute(_OF_JOBS, {"job_ids": list(job_ids)}):
        found[job_id].append(StoredImage(*picture))
    return found


def of_file(connection: Connection, file: str) -> StoredImage | None:
    """The picture of this file; None if no completed request has it, or if it was removed."""
    row = connection.execute(_OF_FILE, {"file": file}).first()
    return None if row is None else StoredImage(*row)


def removed_at(connection: Connection, file: str) -> int | None:
    """When the picture of this file was removed; None if it was not, or if there never was one."""
    return connection.execute(_REMOVED_AT, {"file": file}).scalar()


def kept_ms(connection: Connection, file: str) -> int | None:
    """How long it is until the picture of this file is due to be removed; None if it is not to be."""
    return connection.execute(_KEPT_MS, {"file": file}).scalar()


def any_fetched(connection: Connection, since_ms: int, not_of: str | None) -> bool:
    """True if a picture of another extension than `not_of` was fetched from its host at `since_ms` or later.

    Looks at the pictures of the newest requests only, which the primary key finds. A stamp from the future was made before
    the clock was set back: it says nothing.
    """
    meanwhile = _newest.c.created_at.between(since_ms, now_ms())
    fetched = (_newest.c.source_url.is_not(None), meanwhile, jobs.c.holder != not_of)
    query = select(jobs.c.id).join(_newest, _newest.c.job_id == jobs.c.id).where(*fetched).limit(1)
    return connection.execute(query).first() is not None


def intend(tx: Transaction, job_id: str, names: Sequence[str]) -> None:
    """Store the names of files that a download is about to create, so that the sweep finds them after a crash."""
    tx.connection.execute(_INTEND, [{"name": name, "job_id": job_id} for name in names])


def intend_again(tx: Transaction, job_id: str, names: Sequence[str]) -> None:
    """The same for names that may be on the list already; those that were given up stay so."""
    insertion = tx.upsert(files)
    renewed = insertion.on_conflict_do_update(
        index_elements=["name"], set_={"created_at": tx.now}, where=files.c.created_at > GIVEN_UP
    )
    tx.connection.execute(renewed, [{"name": name, "job_id": job_id, "created_at": tx.now} for name in names])


def keep_intended(tx: Transaction, names: Sequence[str]) -> bool:
    """Keep these files: remove their names from the list of intended files.

    False if one of them was given up meanwhile; the caller must then roll back.
    """
    return tx.connection.execute(_KEEP_INTENDED, {"names": names}).rowcount == len(names)


def give_up_intended(tx: Transaction, before_ms: int, limit: int) -> list[str]:
    """Give up files begun before `before_ms` that no completed request owns, or that were removed; returns their names.

    Delete the files after the commit, then call `forget_intended`; until then they are returned again.
    """
    kept = exists().where(images.c.file == files.c.name, jobs.c.id == images.c.job_id, HAS_PICTURES)
    abandoned = (
        select(files.c.name).where(files.c.created_at < before_ms, ~kept).order_by(files.c.created_at).limit(limit)
    )
    given_up = (
        update(files).where(files.c.name.in_(abandoned), files.c.created_at < before_ms).values(created_at=GIVEN_UP)
    )
    return list(tx.connection.execute(given_up.returning(files.c.name)).scalars())


def give_up(tx: Transaction, names: Sequence[str]) -> list[str]:
    """Give up those of these files that nothing has kept; returns their names. Delete them after the commit."""
    given_up = update(files).where(files.c.name.in_(names)).values(created_at=GIVEN_UP)
    return list(tx.connection.execute(given_up.returning(files.c.name)).scalars())


def forget_intended(tx: Transaction, names: Sequence[str]) -> None:
    """Remove the names of deleted files."""
    tx.connection.execute(_FORGET_INTENDED, {"names": names})


def reserve_upload(tx: Transaction, location: UploadLocation, stale_before_ms: int) -> bool:
    """Reserve the location of an upload; False if it is taken.

    An incomplete upload begun before `stale_before_ms` counts as aborted and can be replaced.
    """
    stale = uploads.c.sha256.is_(None) & (uploads.c.created_at < stale_before_ms)
    reserved = tx.connection.execute(
        tx.upsert(uploads)
        .values(job_id=location.request_id, attempt=location.attempt, position=location.position, created_at=tx.now)
        .on_conflict_do_update(
            index_elements=["job_id", "attempt", "position"], set_={"created_at": tx.now}, where=stale
        )
        .returning(uploads.c.position)
    )
    return reserved.first() is not None


def complete_upload(tx: Transaction, location: UploadLocation, sha256: str, size: int) -> bool:
    """Store hash and size of a complete upload; False if it is no longer reserved, or already complete."""
    incomplete = (_at(location), uploads.c.sha256.is_(None))
    completed = tx.connection.execute(update(uploads).where(*incomplete).values(sha256=sha256, bytes=size))
    return completed.rowcount == 1


def release_upload(tx: Transaction, location: UploadLocation) -> None:
    """The upload failed: release its location."""
    tx.connection.execute(delete(uploads).where(_at(location), uploads.c.sha256.is_(None)))


def has_upload(connection: Connection, location: UploadLocation) -> bool:
    """True if the upload is complete."""
    return bool(connection.execute(select(exists().where(_at(location), uploads.c.sha256.is_not(None)))).scalar_one())


def uploads_of(connection: Connection, job_id: str) -> list[UploadLocation]:
    """Every upload for this job, complete or not."""
    return [UploadLocation(*row) for row in connection.execute(_UPLOADS_OF, {"job_id": job_id})]


def uploads_left_behind(connection: Connection, before_ms: int, limit: int) -> list[UploadLocation]:
    """Uploads begun before `before_ms` whose job no longer needs them."""
    in_use = exists().where(jobs.c.id == uploads.c.job_id, jobs.c.status.in_(("processing", "downloading")))
    query = select(*_LOCATION).where(uploads.c.created_at < before_ms, ~in_use).order_by(uploads.c.created_at)
    return [UploadLocation(*row) for row in connection.execute(query.limit(limit))]


def forget_uploads(tx: Transaction, locations: Iterable[UploadLocation]) -> None:
    for location in locations:
        tx.connection.execute(delete(uploads).where(_at(location)))


def _at(location: UploadLocation) -> ColumnElement[bool]:
    return and_(*(column == value for column, value in zip(_LOCATION, location, strict=True)))
