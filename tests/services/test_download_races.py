"""A job is changed by others during its download."""

from __future__ import annotations

import threading
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest

from app.adapters.fetch_errors import HostUnreachable
from app.adapters.store import LocalStore, StoreError
from app.db import images, jobs
from app.db.jobs import Job
from app.domain.states import Status
from app.services.cancellation import Cancellation
from app.services.cleanup import Cleanup, abandoned_ms
from app.services.download import Download
from tests.support.downloads import PNG, URL, event_types, make_due, run, stored
from tests.support.fakes import Bench
from tests.support.job_factory import downloading_job, reload_job, update_job
from tests.support.waiting import until


def test_only_one_of_many_workers_downloads(bench: Bench) -> None:
    bench.fetch.answers[URL] = PNG
    job = downloading_job(bench, URL)
    with ThreadPoolExecutor(6) as pool:
        list(pool.map(lambda _: Download(bench.ports).run(), range(12)))
    assert bench.fetch.requested == [URL]
    assert reload_job(bench.database, job).status is Status.COMPLETED
    assert event_types(bench, job).count("ImageGeneratedEvent") == 1
    assert len(bench.files()) == 1


@pytest.mark.parametrize("limited", ["downloads_per_extension", "downloads_per_host"])
def test_threads_that_claim_at_the_same_time_keep_the_limits_of_an_extension_and_a_host(
    bench: Bench, limited: str
) -> None:
    limit, threads = 3, 12
    bench = bench.with_settings(**{"downloads_per_extension": 99, "downloads_per_host": 99, limited: limit})
    may_end, all_claim = threading.Event(), threading.Barrier(threads)

    def stall() -> bytes:
        assert may_end.wait(60)
        return PNG

    def claim() -> None:
        all_claim.wait(60)
        Download(bench.ports).run()

    bench.fetch.answers[URL] = stall
    requests = [downloading_job(bench, URL) for _ in range(threads)]
    for job in requests:
        update_job(bench.database, job, source_host="images.example")
    with ThreadPoolExecutor(threads) as pool:
        runs = [pool.submit(claim) for _ in range(threads)]
        until(lambda: sum(run.done() for run in runs) == threads - limit, 60, "the others to find nothing to do")
        until(lambda: len(bench.fetch.requested) >= limit, 60, "those that claimed a picture to fetch it")
        assert len(bench.fetch.requested) == limit
        may_end.set()
        for each in runs:
            each.result(60)
    while bench.database.read(jobs.any_download_due):
        Download(bench.ports).run()
    assert {reload_job(bench.database, each).status for each in requests} == {Status.COMPLETED}


def test_a_download_that_is_overtaken_leaves_only_the_files_of_the_other(bench: Bench) -> None:
    def overtaken() -> bytes:
        bench.fetch.answers[URL] = PNG
        make_due(bench, job)
        Download(bench.ports).run()
        return PNG

    bench.fetch.answers[URL] = overtaken
    job = downloading_job(bench, URL)
    job = run(bench, job)
    assert job.status is Status.COMPLETED
    assert event_types(bench, job).count("ImageGeneratedEvent") == 1
    assert bench.files() == [image.file for image in stored(bench, job)]
    assert bench.database.write(lambda tx: images.give_up_intended(tx, 2**53, 10)) == []


@pytest.mark.parametrize("answer", [PNG, b"rubbish", HostUnreachable("gone")])
def test_a_download_that_lost_its_lease_changes_nothing(bench: Bench, answer: Any) -> None:
    after_the_other: list[Job] = []

    def overtaken() -> bytes:
        bench.fetch.answers[URL] = HostUnreachable("gone")
        make_due(bench, job)
        after_the_other.append(run(bench, job))
        if isinstance(answer, Exception):
            raise answer
        return bytes(answer)

    bench.fetch.answers[URL] = overtaken
    job = downloading_job(bench, URL)
    job = run(bench, job)
    assert (job.status, job.download_attempt) == (Status.DOWNLOADING, 2)
    assert [job] == after_the_other
    assert bench.files() == []


@pytest.mark.parametrize("answer", [PNG, b"rubbish", HostUnreachable("gone")])
def test_a_job_cancelled_during_its_download_stays_cancelled(bench: Bench, answer: Any) -> None:
    def cancelled() -> bytes:
        Cancellation(bench.ports).cancel(job.id)
        if isinstance(answer, Exception):
            raise answer
        return bytes(answer)

    bench.fetch.answers[URL] = cancelled
    job = downloading_job(bench, URL)
    job = run(bench, job)
    assert job.status is Status.CANCELLED
    assert bench.files() == []
    assert bench.bus.sent("image_generation_confirmed") == []


class SweepingStore(LocalStore):
    """A store so slow to publish that a sweep runs first."""

    def __init__(self, bench: Bench, job: Job) -> None:
        super().__init__(bench.store.root)
        self.bench = bench
        self.job = job

    def publish(self, staged: Any, name: str) -> None:
        assert (
            Cleanup(self.bench.ports).sweep(self.job.updated_at + abandoned_ms(self.bench.ports.settings) + 60_000) == 1
        )
        super().publish(staged, name)


def test_a_download_whose_files_were_swept_meanwhile_does_not_complete_and_leaves_no_files(bench: Bench) -> None:
    bench.fetch.answers[URL] = PNG
    job = downloading_job(bench, URL)
    job = run(bench.with_ports(store=SweepingStore(bench, job)), job)
    assert job.status is Status.DOWNLOADING
    assert bench.files() == []
    make_due(bench, job)
    assert run(bench, job).status is Status.COMPLETED


class KeepingStore(LocalStore):
    """A store that cannot remove files."""

    def delete(self, name: str) -> None:
        raise StoreError("The picture cannot be removed: Permission denied.")


def test_a_file_that_an_overtaken_download_cannot_remove_is_left_to_the_next_sweep(bench: Bench) -> None:
    def cancelled() -> bytes:
        Cancellation(bench.ports).cancel(job.id)
        return PNG

    bench.fetch.answers[URL] = cancelled
    job = downloading_job(bench, URL)
    run(bench.with_ports(store=KeepingStore(bench.store.root)), job)
    assert len(bench.files()) == 1
    Cleanup(bench.ports).sweep(job.updated_at + abandoned_ms(bench.ports.settings) + 60_000)
    assert bench.files() == []
