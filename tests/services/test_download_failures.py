"""Failed downloads are retried or fail the job, and leave no files."""

from __future__ import annotations

from typing import Any

import pytest

from app.adapters.fetch_errors import AddressRefused, BadResponse, HostBusy, HostUnreachable
from app.adapters.store import LocalStore, StoreError
from app.db import images
from app.domain.errors import DOWNLOAD_FAILED
from app.domain.states import Status
from app.domain.upload_urls import UploadLocation
from app.services.cleanup import Cleanup, abandoned_ms
from tests.support.downloads import OTHER, PNG, URL, Killed, event_types, make_due, run, stored, upload, uploads
from tests.support.fakes import Bench
from tests.support.job_factory import connect_extension, downloading_job, processing_job, report_generated, update_job


@pytest.fixture
def bench(bench: Bench) -> Bench:
    """Each request has one attempt, so its failure is final."""
    return bench.with_settings(max_attempts=1)


@pytest.mark.parametrize(
    ("error", "pause_ms"),
    [
        (HostUnreachable("gone"), 1_000),
        (HostBusy("busy", retry_after_ms=7_000), 7_000),
        (HostBusy("busy", retry_after_ms=0), 1_000),
    ],
)
def test_a_temporary_failure_is_retried_after_a_pause(bench: Bench, error: Exception, pause_ms: int) -> None:
    bench.fetch.answers[URL] = error
    job = downloading_job(bench, URL)
    update_job(bench.database, job, progress_note="Almost there")
    job = run(bench, job)
    assert (job.status, job.lease, job.download_attempt) == (Status.DOWNLOADING, None, 1)
    assert job.progress_note == "Almost there"
    assert job.due_at - job.updated_at == pytest.approx(pause_ms, abs=999)
    assert run(bench, job) == job
    make_due(bench, job)
    bench.fetch.answers[URL] = PNG
    assert run(bench, job).status is Status.COMPLETED


def test_the_job_fails_after_the_last_allowed_attempt(bench: Bench) -> None:
    bench.fetch.answers[URL] = HostUnreachable("images.example could not be reached.")
    job = downloading_job(bench, URL)
    for _ in range(bench.ports.settings.max_download_attempts):
        make_due(bench, job)
        job = run(bench, job)
    assert (job.status, job.error_code) == (Status.FAILED, DOWNLOAD_FAILED)
    assert job.error == "images.example could not be reached."
    assert job.finished_at is not None
    assert len(bench.fetch.requested) == 4
    assert event_types(bench, job)[-1] == "ImageGenerationFailedEvent"


@pytest.mark.parametrize("error", [AddressRefused("private"), BadResponse("rubbish")])
def test_a_permanent_failure_fails_the_job_at_once_and_frees_the_extension(bench: Bench, error: Exception) -> None:
    connect_extension(bench)
    bench.fetch.answers[URL] = error
    job = run(bench, downloading_job(bench, URL))
    assert (job.status, job.error, job.holder) == (Status.FAILED, str(error), None)
    assert [message["requestId"] for message in bench.bus.sent("cancel_generation")] == [job.id]


def test_a_failed_job_keeps_no_upload(bench: Bench) -> None:
    job = processing_job(bench)
    url = upload(bench, job, content=b"rubbish")
    job = run(bench, report_generated(bench, job, url))
    assert job.status is Status.FAILED
    assert uploads(bench, job) == []
    assert bench.files() == []


def test_an_upload_of_the_next_attempt_is_kept(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    bench = bench.with_settings(max_attempts=2)
    job = processing_job(bench)
    job = report_generated(bench, job, upload(bench, job, content=b"rubbish"))
    following = UploadLocation(job.id, job.attempt + 1, 0)

    def begin_next_attempt() -> None:
        bench.database.write(lambda tx: images.reserve_upload(tx, following, 0))

    monkeypatch.setattr(bench.ports.tasks, "assign", begin_next_attempt)
    assert run(bench, job).status is Status.ACCEPTED
    assert uploads(bench, job) == [following]


def test_a_job_without_sources_fails(bench: Bench) -> None:
    job = downloading_job(bench)
    assert run(bench, job).error_code == DOWNLOAD_FAILED


class BreakingStore(LocalStore):
    """A store that publishes `whole` files, then raises `error` after publishing one more."""

    def __init__(self, bench: Bench, whole: int, error: BaseException) -> None:
        super().__init__(bench.store.root)
        self.whole = whole
        self.error = error

    def publish(self, staged: Any, name: str) -> None:
        super().publish(staged, name)
        self.whole -= 1
        if self.whole < 0:
            raise self.error


def test_a_disk_failure_midway_leaves_no_files(bench: Bench) -> None:
    bench.fetch.answers = {URL: PNG, OTHER: PNG}
    broken = bench.with_ports(store=BreakingStore(bench, 1, StoreError("The disk is full.")))
    job = run(broken, downloading_job(bench, URL, OTHER))
    assert job.status is Status.DOWNLOADING
    assert bench.files() == []
    make_due(bench, job)
    assert run(bench, job).status is Status.COMPLETED
    assert len(bench.files()) == 2


def test_after_a_killed_worker_the_files_are_removed_and_the_job_is_repeated(bench: Bench) -> None:
    bench.fetch.answers = {URL: PNG, OTHER: PNG}
    job = downloading_job(bench, URL, OTHER)
    with pytest.raises(Killed):
        run(bench.with_ports(store=BreakingStore(bench, 1, Killed())), job)
    left = bench.files()
    assert len(left) == 2
    assert run(bench, job).status is Status.DOWNLOADING  # its lease has not expired
    make_due(bench, job)
    job = run(bench, job)
    assert job.status is Status.COMPLETED
    kept = sorted(image.file for image in stored(bench, job))
    assert bench.files() == sorted([*left, *kept])
    assert Cleanup(bench.ports).sweep(job.updated_at + abandoned_ms(bench.ports.settings) + 1) == 2
    assert bench.files() == kept


def test_a_job_that_kills_its_worker_each_time_fails_finally(bench: Bench) -> None:
    bench.fetch.answers[URL] = lambda: (_ for _ in ()).throw(Killed())
    job = downloading_job(bench, URL)
    for _ in range(bench.ports.settings.max_download_attempts):
        make_due(bench, job)
        with pytest.raises(Killed):
            run(bench, job)
    make_due(bench, job)
    job = run(bench, job)
    assert (job.status, job.error_code) == (Status.FAILED, DOWNLOAD_FAILED)
    assert job.error == "The download was begun 4 times and never finished."
