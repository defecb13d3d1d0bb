"""Cleanup removes abandoned files and nothing else."""

from __future__ import annotations

import os
import time
from concurrent.futures import ThreadPoolExecutor

import pytest

from app.adapters.store import LocalStore, StoreError
from app.config import Settings
from app.db import images
from app.db.jobs import Job
from app.domain.images import file_name
from app.domain.upload_urls import UploadLocation
from app.services.cancellation import Cancellation
from app.services.cleanup import STAGING_MS, Cleanup, abandoned_ms
from app.services.download import Download
from tests.support.fakes import Bench
from tests.support.image_samples import png
from tests.support.job_factory import downloading_job, processing_job, reload_job

URL = "https://images.example/a.png"


def abandoned(bench: Bench, job: Job, count: int = 1, *, on_disk: bool = True) -> list[str]:
    """Files of a download whose worker was killed."""
    names = [file_name(job.id, n) for n in range(count)]
    bench.database.write(lambda tx: images.intend(tx, job.id, names))
    for name in names if on_disk else ():
        with bench.store.stage() as staged:
            staged.file.write(b"picture")
            bench.store.publish(staged, name)
    return names


def put_aside(bench: Bench, job: Job, *, complete: bool = True) -> UploadLocation:
    place = UploadLocation(job.id, 1, 0)
    bench.database.write(lambda tx: images.reserve_upload(tx, place, 0))
    if complete:
        with bench.store.stage() as staged:
            staged.file.write(b"picture")
            bench.store.keep_upload(staged, *place)
        bench.database.write(lambda tx: images.complete_upload(tx, place, "0" * 64, 7))
    return place


def later(job: Job) -> int:
    return job.created_at + abandoned_ms(Settings.from_env({})) + 60_000


def test_files_of_an_unfinished_download_are_removed(bench: Bench) -> None:
    job = downloading_job(bench, URL)
    abandoned(bench, job, 3)
    assert Cleanup(bench.ports).sweep() == 0
    assert len(bench.files()) == 3
    assert Cleanup(bench.ports).sweep(later(job)) == 3
    assert bench.files() == []
    assert Cleanup(bench.ports).sweep(later(job)) == 0


def test_records_of_files_that_were_never_written_are_removed_too(bench: Bench) -> None:
    job = downloading_job(bench, URL)
    names = abandoned(bench, job, on_disk=False)
    assert Cleanup(bench.ports).sweep(later(job)) == 1
    assert not bench.database.write(lambda tx: images.keep_intended(tx, names))


def test_pictures_of_a_completed_request_are_kept(bench: Bench) -> None:
    bench.fetch.answers[URL] = png(8, 8)
    job = downloading_job(bench, URL)
    Download(bench.ports).run()
    kept = bench.files()
    # a leftover row must not make a sweep remove them
    bench.database.write(lambda tx: images.intend(tx, job.id, kept))
    assert Cleanup(bench.ports).sweep(later(job)) == 0
    assert bench.files() == kept
    assert len(kept) == 1


def test_uploads_are_kept_while_their_job_may_still_use_them(bench: Bench) -> None:
    job = processing_job(bench)
    put_aside(bench, job)
    assert Cleanup(bench.ports).sweep(later(job)) == 0
    Cancellation(bench.ports).cancel(job.id)
    assert Cleanup(bench.ports).sweep() == 0
    assert len(bench.files()) == 1
    assert Cleanup(bench.ports).sweep(later(job)) == 1
    assert bench.files() == []
    assert bench.database.read(lambda c: images.uploads_of(c, job.id)) == []


def test_the_reservation_of_an_upload_that_never_arrived_is_removed_with_its_job(bench: Bench) -> None:
    job = processing_job(bench)
    put_aside(bench, job, complete=False)
    Cancellation(bench.ports).cancel(job.id)
    Cleanup(bench.ports).sweep(later(job))
    assert bench.database.read(lambda c: images.uploads_of(c, job.id)) == []


def test_unfinished_files_are_removed_after_an_hour(bench: Bench) -> None:
    now = int(time.time() * 1000)
    for name, age_ms in (("old.part", STAGING_MS + 60_000), ("new.part", STAGING_MS - 60_000)):
        path = bench.store.root / ".staging" / name
        path.write_bytes(b"half")
        os.utime(path, ((now - age_ms) / 1000,) * 2)
    assert Cleanup(bench.ports).sweep() == 1
    assert bench.files() == ["new.part"]


def test_a_sweep_is_bounded_and_the_next_one_continues(bench: Bench) -> None:
    job = downloading_job(bench, URL)
    abandoned(bench, job, 250, on_disk=False)
    sweeps = [Cleanup(bench.ports).sweep(later(job)) for _ in range(3)]
    assert sweeps == [200, 50, 0]


def test_two_concurrent_cleanups_do_no_harm(bench: Bench) -> None:
    job = downloading_job(bench, URL)
    abandoned(bench, job, 20)
    ended = processing_job(bench)
    put_aside(bench, ended)
    Cancellation(bench.ports).cancel(ended.id)
    with ThreadPoolExecutor(4) as pool:
        list(pool.map(lambda _: Cleanup(bench.ports).sweep(later(job)), range(8)))
    assert bench.files() == []


class StubbornStore(LocalStore):
    """A store that fails to remove files."""

    def delete(self, *_: object) -> None:
        raise StoreError("The picture cannot be removed: Permission denied.")

    def discard_upload(self, *_: object) -> None:
        raise StoreError("The picture cannot be removed: Permission denied.")

    def sweep_staging(self, before_ms: int) -> int:
        raise StoreError("Unfinished pictures cannot be listed: Permission denied.")


@pytest.mark.parametrize("complete", [True, False])
def test_a_file_that_cannot_be_removed_now_is_removed_later(bench: Bench, complete: bool) -> None:
    job = processing_job(bench)
    abandoned(bench, job, 2)
    put_aside(bench, job, complete=complete)
    Cancellation(bench.ports).cancel(job.id)
    stubborn = bench.with_ports(store=StubbornStore(bench.store.root))
    before = bench.files()
    assert Cleanup(stubborn.ports).sweep(later(reload_job(bench.database, job))) == 0
    assert bench.files() == before
    Cleanup(bench.ports).sweep(later(job))
    assert bench.files() == []
