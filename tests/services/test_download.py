"""Downloads of pictures."""

from __future__ import annotations

import base64
import hashlib
import threading
from concurrent.futures import ThreadPoolExecutor
from typing import Any
from unittest.mock import Mock

import pytest
from PIL import Image

from app import logs
from app.adapters.fetch_errors import AddressRefused
from app.db import events, images
from app.db.engine import Transaction
from app.db.images import StoredImage
from app.db.jobs import Job
from app.domain.errors import DOWNLOAD_FAILED
from app.domain.states import Status
from app.domain.upload_urls import UploadLocation
from app.services import download
from app.services.download import VALIDATION_MS, Download
from tests.support.downloads import OTHER, PNG, URL, run, stored, upload, uploads
from tests.support.fakes import Bench
from tests.support.image_samples import encoded, png, sample_image
from tests.support.job_factory import connect_extension, downloading_job, processing_job, reload_job, report_generated


@pytest.fixture
def bench(bench: Bench) -> Bench:
    """Each request has one attempt, so its failure is final."""
    return bench.with_settings(max_attempts=1)


def test_a_job_completes_with_its_picture_on_the_disk(bench: Bench) -> None:
    bench.fetch.answers[URL] = PNG
    job = run(bench, downloading_job(bench, URL))
    (image,) = stored(bench, job)
    assert (job.status, job.progress, job.lease) == (Status.COMPLETED, 100, None)
    assert job.finished_at is not None
    assert bench.files() == [image.file]
    content = (bench.store.root / image.file).read_bytes()
    assert image.sha256 == hashlib.sha256(content).hexdigest()
    assert image == StoredImage(0, image.file, URL, 8, 8, len(content), image.sha256)


def test_a_completed_job_keeps_no_picture_in_its_row(bench: Bench) -> None:
    job = run(bench, downloading_job(bench, "data:image/png;base64," + base64.b64encode(PNG).decode()))
    assert (job.status, job.sources) == (Status.COMPLETED, None)
    kept = "SELECT count(*) FROM jobs WHERE sources IS NOT NULL"
    assert bench.database.read(lambda c: c.exec_driver_sql(kept).scalar_one()) == 0


def test_the_event_names_the_paths_of_the_pictures(bench: Bench) -> None:
    bench.fetch.answers[URL] = PNG
    job = run(bench, downloading_job(bench, URL))
    last = bench.database.read(lambda c: events.after(c, job.id, 0))[-1]
    assert last.type == "ImageGeneratedEvent"
    assert last.data == {"image_paths": [f"/generated-images/{stored(bench, job)[0].file}"]}


def test_several_pictures_are_stored_under_different_names_in_their_order(bench: Bench) -> None:
    urls = [f"https://images.example/{n}.png" for n in range(10)]
    bench.fetch.answers = {url: png(8 + n, 8) for n, url in enumerate(urls)}
    job = run(bench, downloading_job(bench, *urls))
    kept = stored(bench, job)
    assert [(image.source_url, image.width) for image in kept] == [(url, 8 + n) for n, url in enumerate(urls)]
    stamps = [int(image.file.removesuffix(".png").rpartition("_")[2]) for image in kept]
    assert stamps == list(range(stamps[0], stamps[0] + 10))
    assert bench.files() == sorted(image.file for image in kept)


@pytest.mark.parametrize("form", ["JPEG", "WEBP"])
def test_other_formats_are_stored_as_png(bench: Bench, form: str) -> None:
    bench.fetch.answers[URL] = encoded(sample_image(), form)
    job = run(bench, downloading_job(bench, URL))
    with Image.open(bench.store.root / stored(bench, job)[0].file) as image:
        assert (image.format, image.size) == ("PNG", (48, 32))


def test_one_invalid_picture_fails_the_whole_request(bench: Bench) -> None:
    bench.fetch.answers = {URL: PNG, OTHER: b"<html>"}
    job = run(bench, downloading_job(bench, URL, OTHER))
    assert (job.status, job.error_code) == (Status.FAILED, DOWNLOAD_FAILED)
    assert job.error == "The bytes are not a PNG, JPEG or WEBP picture."
    assert bench.files() == []


def test_a_picture_in_a_data_url_is_stored_and_the_url_is_removed(bench: Bench) -> None:
    job = run(bench, downloading_job(bench, "data:image/png;base64," + base64.b64encode(PNG).decode()))
    assert job.status is Status.COMPLETED
    assert stored(bench, job)[0].source_url is None
    assert bench.fetch.requested == []


def test_an_invalid_data_url_fails_the_job(bench: Bench) -> None:
    job = run(bench, downloading_job(bench, "data:image/svg+xml;base64,PHN2Zz4="))
    assert job.error_code == DOWNLOAD_FAILED
    assert bench.files() == []


def test_an_upload_is_moved_to_the_stored_pictures(bench: Bench) -> None:
    job = processing_job(bench)
    upload(bench, job, 1)
    job = run(bench, report_generated(bench, job, upload(bench, job, 0)))
    assert job.status is Status.COMPLETED
    assert stored(bench, job)[0].source_url is None
    assert bench.fetch.requested == []
    assert uploads(bench, job) == []
    assert bench.files() == [stored(bench, job)[0].file]


def test_a_missing_upload_fails_the_job(bench: Bench) -> None:
    job = processing_job(bench)
    url = upload(bench, job)
    bench.store.discard_upload(job.id, 1, 0)
    job = run(bench, report_generated(bench, job, url))
    assert job.error == "The upload that the extension reported as its picture is missing or incomplete."
    assert uploads(bench, job) == []


def test_an_unfinished_upload_fails_the_job(bench: Bench) -> None:
    job = processing_job(bench)
    place = UploadLocation(job.id, 1, 0)
    bench.database.write(lambda tx: images.reserve_upload(tx, place, 0))
    assert run(bench, report_generated(bench, job, f"http://127.0.0.1{place.path}")).status is Status.FAILED


def test_an_upload_of_another_attempt_fails_the_job(bench: Bench) -> None:
    job = processing_job(bench)
    assert run(bench, report_generated(bench, job, upload(bench, job, attempt=2))).status is Status.FAILED


def test_an_upload_of_another_job_is_fetched_like_any_other_url(bench: Bench) -> None:
    theirs = upload(bench, processing_job(bench))
    bench.fetch.answers[theirs] = AddressRefused("127.0.0.1 is not at a public address.")
    job = run(bench, downloading_job(bench, theirs))
    assert bench.fetch.requested == [theirs]
    assert job.status is Status.FAILED


def test_the_extension_receives_a_confirmation_that_its_pictures_are_stored(bench: Bench) -> None:
    connect_extension(bench)
    bench.fetch.answers[URL] = PNG
    job = run(bench, downloading_job(bench, URL))
    (message,) = bench.bus.sent("image_generation_confirmed")
    assert message["requestId"] == job.id
    assert message["imagePath"] == f"/generated-images/{stored(bench, job)[0].file}"
    assert message["correlationId"] == job.correlation_id


def test_a_disconnected_extension_receives_no_confirmation(bench: Bench) -> None:
    bench.fetch.answers[URL] = PNG
    assert run(bench, downloading_job(bench, URL)).status is Status.COMPLETED
    assert bench.bus.to_hubs == []


def test_a_download_that_is_finished_or_not_due_changes_nothing(bench: Bench) -> None:
    bench.fetch.answers[URL] = PNG
    Download(bench.ports).run()
    waiting = processing_job(bench)
    assert run(bench, waiting) == waiting
    job = run(bench, downloading_job(bench, URL))
    assert run(bench, job) == job
    assert len(bench.fetch.requested) == 1


def test_one_run_downloads_all_due_jobs(bench: Bench) -> None:
    bench.fetch.answers = {URL: PNG, OTHER: b"rubbish"}
    jobs = [downloading_job(bench, URL), downloading_job(bench, OTHER), downloading_job(bench, URL)]
    Download(bench.ports).run()
    assert [reload_job(bench.database, job).status for job in jobs] == [
        Status.COMPLETED,
        Status.FAILED,
        Status.COMPLETED,
    ]


def test_log_lines_of_a_download_contain_its_correlation_id(bench: Bench) -> None:
    seen: list[str | None] = []

    def answer() -> bytes:
        seen.append(logs.correlation_id())
        return PNG

    bench.fetch.answers[URL] = answer
    with logs.correlated("of-the-caller"):
        job = run(bench, downloading_job(bench, URL))
    assert seen == [job.correlation_id]


def test_another_worker_is_woken_if_more_downloads_are_due(bench: Bench) -> None:
    bench.fetch.answers[URL] = PNG
    run(bench, downloading_job(bench, URL))
    assert bench.tasks.downloads == 0
    downloading_job(bench, URL)
    run(bench, downloading_job(bench, URL))
    assert bench.tasks.downloads == 1


def test_a_task_ends_after_its_time_limit_and_wakes_another_for_the_rest(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(download, "TASK_S", 0.0)
    bench.fetch.answers[URL] = PNG
    jobs = [downloading_job(bench, URL) for _ in range(2)]
    for status in (Status.DOWNLOADING, Status.COMPLETED):
        bench.tasks.downloads = 0
        Download(bench.ports).run()
        assert [reload_job(bench.database, job).status for job in jobs] == [Status.COMPLETED, status]
        assert bench.tasks.downloads > 0


def test_one_commit_finishes_a_download_and_claims_the_next(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    bench.fetch.answers[URL] = PNG
    for _ in range(3):
        downloading_job(bench, URL)
    write = Mock(side_effect=bench.database.write)
    monkeypatch.setattr(bench.database, "write", write)
    Download(bench.ports).run()
    assert write.call_count == 4


def test_a_due_download_is_claimed_however_long_the_transaction_has_lasted(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    bench.fetch.answers[URL] = PNG
    job = downloading_job(bench, URL)
    now: Any = Transaction.now
    monkeypatch.setattr(Transaction, "now", property(lambda tx: now.fget(tx) - 60_000))
    assert run(bench, job).status is Status.COMPLETED


def test_a_claim_lasts_as_long_as_the_download_may(bench: Bench) -> None:
    held: list[Job] = []

    def answer() -> bytes:
        held.append(reload_job(bench.database, job))
        return PNG

    bench.fetch.answers = {URL: answer, OTHER: answer}
    job = downloading_job(bench, URL, OTHER)
    run(bench, job)
    assert held[0].lease is not None
    assert held[0].download_attempt == 1
    settings = bench.ports.settings
    assert held[0].due_at - held[0].updated_at == pytest.approx(
        2 * (settings.download_timeout_ms + VALIDATION_MS), abs=999
    )


def test_no_transaction_is_open_during_a_fetch(bench: Bench) -> None:
    done = threading.Event()

    def answer() -> bytes:
        with ThreadPoolExecutor(1) as pool:
            pool.submit(lambda: processing_job(bench)).result(10)
        done.set()
        return PNG

    bench.fetch.answers[URL] = answer
    assert run(bench, downloading_job(bench, URL)).status is Status.COMPLETED
    assert done.is_set()
