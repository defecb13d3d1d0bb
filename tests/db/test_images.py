"""Rows of stored pictures, unfinished files and uploads, each found only by its own key."""

from __future__ import annotations

from functools import partial

import pytest

from app.db import images
from app.db.engine import Database, Transaction
from app.db.images import StoredImage
from app.db.jobs import Job
from app.db.tables import files, uploads
from app.domain.upload_urls import UploadLocation
from tests.support.interleaving import on_postgresql, overlapping
from tests.support.job_factory import add_job

FUTURE = 2**45


def picture(position: int, file: str) -> StoredImage:
    return StoredImage(position, file, "https://images.example/a.png", 64, 48, 1_000 + position, "0" * 64)


def place(job: Job, position: int = 0) -> UploadLocation:
    return UploadLocation(job.id, 1, position)


def reserve(database: Database, upload: UploadLocation, stale_before_ms: int = 0) -> bool:
    return database.write(lambda tx: images.reserve_upload(tx, upload, stale_before_ms))


def complete(database: Database, upload: UploadLocation, sha256: str = "1" * 64, size: int = 7) -> bool:
    return database.write(lambda tx: images.complete_upload(tx, upload, sha256, size))


def rows_of(database: Database) -> list[tuple[object, ...]]:
    """Position, digest and size of every upload."""
    query = uploads.select().order_by(uploads.c.position)
    return [(row.position, row.sha256, row.bytes) for row in database.read(lambda c: c.execute(query).all())]


# -- stored pictures


def test_each_file_is_found_by_its_own_name_and_each_job_has_its_own_pictures(database: Database) -> None:
    job, other = add_job(database), add_job(database)
    mine = [picture(0, "a.png"), picture(1, "b.png")]
    database.write(lambda tx: images.add(tx, job.id, mine[::-1]))
    database.write(lambda tx: images.add(tx, other.id, [picture(0, "c.png")]))
    assert [database.read(partial(images.of_file, file=name)) for name in ("a.png", "b.png")] == mine
    assert database.read(lambda c: images.of_file(c, "d.png")) is None
    assert database.read(lambda c: images.of_job(c, job.id)) == mine
    assert database.read(lambda c: images.of_job(c, other.id)) == [picture(0, "c.png")]


def test_pictures_of_an_extension_are_not_those_of_others(database: Database) -> None:
    job = add_job(database, holder="e1")
    database.write(lambda tx: images.add(tx, job.id, [picture(0, "a.png")]))
    found = [database.read(partial(images.any_fetched, since_ms=0, not_of=each)) for each in ("e1", "e2")]
    assert found == [False, True]
    assert not database.read(lambda c: images.any_fetched(c, FUTURE, not_of="e2"))


# -- unfinished files


def began(database: Database, name: str, created_at: int) -> None:
    """Record that the download of a file began at this time."""
    row = files.update().where(files.c.name == name).values(created_at=created_at)
    database.write(lambda tx: tx.connection.execute(row))


def test_old_unfinished_files_are_abandoned_oldest_first(database: Database) -> None:
    job = add_job(database)
    database.write(lambda tx: images.intend(tx, job.id, ["new", "oldest", "old"]))
    for name, created_at in (("oldest", 1), ("old", 2), ("new", 1_000)):
        began(database, name, created_at)
    assert database.write(lambda tx: images.give_up_intended(tx, 1_000, 1)) == ["oldest"]
    assert sorted(database.write(lambda tx: images.give_up_intended(tx, 1_000, 9))) == ["old", "oldest"]
    database.write(lambda tx: images.forget_intended(tx, ["oldest"]))
    assert database.write(lambda tx: images.give_up_intended(tx, 1_000, 9)) == ["old"]


def test_a_file_of_a_completed_job_is_never_abandoned(database: Database) -> None:
    job = add_job(database)
    database.write(lambda tx: images.intend(tx, job.id, ["a.png", "b.png"]))
    database.write(lambda tx: images.add(tx, job.id, [picture(0, "a.png")]))
    assert database.write(lambda tx: images.give_up_intended(tx, FUTURE, 9)) == ["b.png"]


def keep(tx: Transaction, job: Job, name: str) -> bool:
    """Keep a file for a completed job, as a download does; False if it was abandoned."""
    if not images.keep_intended(tx, [name]):
        return False
    images.add(tx, job.id, [picture(0, name)])
    return True


@pytest.mark.parametrize("names", [["a.png"], ["a.png", "b.png"]], ids=len)
def test_files_are_kept_unless_one_of_them_was_abandoned(database: Database, names: list[str]) -> None:
    job = add_job(database)
    database.write(lambda tx: images.intend(tx, job.id, names))
    assert database.write(lambda tx: images.keep_intended(tx, names)) is True
    database.write(lambda tx: images.intend(tx, job.id, names))
    began(database, names[-1], images.GIVEN_UP)
    assert database.write(lambda tx: images.keep_intended(tx, names)) is False


@on_postgresql
def test_a_file_being_abandoned_is_not_kept(database: Database) -> None:
    job = add_job(database)
    database.write(lambda tx: images.intend(tx, job.id, ["a.png"]))
    given_up, kept = overlapping(
        database,
        lambda tx: images.give_up_intended(tx, FUTURE, 9),
        lambda: database.write(lambda tx: keep(tx, job, "a.png")),
    )
    assert (given_up, kept) == (["a.png"], False)


@on_postgresql
def test_a_file_being_kept_is_not_abandoned(database: Database) -> None:
    job = add_job(database)
    database.write(lambda tx: images.intend(tx, job.id, ["a.png"]))
    kept, given_up = overlapping(
        database,
        lambda tx: keep(tx, job, "a.png"),
        lambda: database.write(lambda tx: images.give_up_intended(tx, FUTURE, 9)),
    )
    assert (kept, given_up) == (True, [])


# -- uploads


def test_an_unfinished_upload_keeps_its_reservation_until_it_is_stale(database: Database) -> None:
    upload = place(add_job(database))
    assert reserve(database, upload) is True
    assert reserve(database, upload) is False
    assert is_complete(database, upload) is False
    assert reserve(database, upload, FUTURE) is True


def test_a_stale_reservation_that_is_taken_again_is_no_longer_stale(database: Database) -> None:
    upload = place(add_job(database))
    reserve(database, upload)
    set_created_at(database, 5)
    assert reserve(database, upload, 6) is True
    assert reserve(database, upload, 6) is False


def test_a_finished_upload_is_neither_reserved_again_nor_overwritten_nor_released(database: Database) -> None:
    upload = place(add_job(database))
    reserve(database, upload)
    assert complete(database, upload) is True
    assert reserve(database, upload, FUTURE) is False
    assert complete(database, upload, "2" * 64, 8) is False
    database.write(lambda tx: images.release_upload(tx, upload))
    assert is_complete(database, upload) is True
    assert rows_of(database) == [(0, "1" * 64, 7)]


def test_a_broken_upload_releases_only_its_own_reservation(database: Database) -> None:
    job = add_job(database)
    broken, other = place(job, 0), place(job, 1)
    for each in (broken, other):
        reserve(database, each)
    database.write(lambda tx: images.release_upload(tx, broken))
    assert complete(database, broken) is False
    assert complete(database, other) is True
    assert rows_of(database) == [(1, "1" * 64, 7)]


@pytest.mark.parametrize("differs", ["request", "attempt", "position"])
def test_an_upload_belongs_to_one_request_attempt_and_position(database: Database, differs: str) -> None:
    job, other = add_job(database), add_job(database)
    mine = UploadLocation(job.id, 1, 0)
    theirs = {
        "request": UploadLocation(other.id, 1, 0),
        "attempt": UploadLocation(job.id, 2, 0),
        "position": UploadLocation(job.id, 1, 1),
    }[differs]
    reserve(database, mine)
    assert reserve(database, theirs) is True
    complete(database, mine)
    assert (is_complete(database, mine), is_complete(database, theirs)) == (True, False)
    database.write(lambda tx: images.forget_uploads(tx, [theirs]))
    assert database.read(lambda c: images.uploads_of(c, job.id)) == [mine]
    assert database.read(lambda c: images.uploads_of(c, other.id)) == []


def test_leftover_uploads_are_the_old_ones_that_their_job_does_not_use(database: Database) -> None:
    waiting, ended = add_job(database), add_job(database, status="cancelled")
    used = [add_job(database, status=status) for status in ("processing", "downloading")]
    for job in (waiting, ended, *used):
        reserve(database, place(job))
    left = [place(waiting), place(ended)]
    assert database.read(lambda c: images.uploads_left_behind(c, 1, 9)) == []
    assert sorted(database.read(lambda c: images.uploads_left_behind(c, FUTURE, 9))) == sorted(left)
    assert len(database.read(lambda c: images.uploads_left_behind(c, FUTURE, 1))) == 1


@on_postgresql
def test_one_of_two_concurrent_uploads_gets_the_reservation(database: Database) -> None:
    upload = place(add_job(database))

    def take(tx: Transaction) -> bool:
        return images.reserve_upload(tx, upload, 1)

    assert overlapping(database, take, lambda: database.write(take)) == (True, False)


@on_postgresql
def test_an_upload_completed_meanwhile_is_not_released(database: Database) -> None:
    upload = place(add_job(database))
    reserve(database, upload)
    overlapping(
        database,
        lambda tx: images.complete_upload(tx, upload, "1" * 64, 7),
        lambda: database.write(lambda tx: images.release_upload(tx, upload)),
    )
    assert rows_of(database) == [(0, "1" * 64, 7)]


def is_complete(database: Database, upload: UploadLocation) -> bool:
    return database.read(lambda c: images.has_upload(c, upload))


def set_created_at(database: Database, moment: int) -> None:
    database.write(lambda tx: tx.connection.execute(uploads.update().values(created_at=moment)))
