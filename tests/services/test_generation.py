"""Reports of extensions about progress and results."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor

import pytest

from app.domain.errors import LeaseLost
from app.domain.messages import ImageGenerated, ImageGenerationConfirmed
from app.domain.states import Status
from app.domain.upload_urls import UploadLocation
from tests.support.downloads import PNG
from tests.support.harness import PICTURE, Harness
from tests.support.statements import recorded_statements

MINUTE = 60_000


def test_progress_never_decreases(harness: Harness) -> None:
    holder, job = harness.connect_and_start()
    seen = []
    for percent in (10, 40, 25, 40, 100):
        harness.report_progress(holder, job, percent)
        seen.append(harness.reload(job).progress)
    assert seen == [10, 40, 40, 40, 100]


def test_the_progress_note_of_the_extension_is_stored(harness: Harness) -> None:
    holder, job = harness.connect_and_start()
    harness.report_progress(holder, job, 10, status="Drawing")
    assert harness.reload(job).progress_note == "Drawing"


def test_progress_renews_the_lease_up_to_the_end_of_the_attempt(harness: Harness) -> None:
    holder, job = harness.connect_and_start()
    now = harness.now()
    harness.update_job(job, lease_until=now + 50)
    harness.report_progress(holder, job)
    assert (harness.reload(job).lease_until or 0) >= now + harness.services.settings.request_timeout_ms
    harness.update_job(job, lease_until=now + 50, attempt_until=now + MINUTE)
    harness.report_progress(holder, job)
    assert harness.reload(job).lease_until == now + MINUTE


@pytest.mark.parametrize(
    ("urls", "host"),
    [
        (("https://Images.Example:8443/a.png", "https://other.example/b.png"), "images.example"),
        (("data:image/png;base64,AA==", "http://127.0.0.1/a.png"), "127.0.0.1"),
        (("data:image/png;base64,AA==",), None),
        (("UPLOADED",), None),
    ],
)
def test_the_host_of_a_reported_picture_is_stored(harness: Harness, urls: tuple[str, ...], host: str | None) -> None:
    holder, job = harness.connect_and_start()
    upload = "http://service.example" + UploadLocation(job.id, 1, 0).path
    reported = tuple(upload if url == "UPLOADED" else url for url in urls)
    harness.services.generation.report(holder, ImageGenerated(request_id=job.id, image_urls=reported))
    assert harness.reload(job).source_host == host


def test_progress_confirms_that_the_offer_arrived(harness: Harness) -> None:
    holder = harness.connect()
    job = harness.submit_and_assign()
    harness.report_progress(holder, job, 1)
    assert harness.reload(job).handed_over


def test_an_offer_that_arrived_is_leased_for_the_request_timeout(harness: Harness) -> None:
    harness.connect()
    job = harness.submit_and_assign()
    now = harness.now()
    harness.services.generation.offer_received(job.id, job.lease or "")
    held = harness.reload(job)
    assert held.handed_over
    assert (held.lease_until or 0) >= now + harness.services.settings.request_timeout_ms


def test_a_receipt_after_a_report_changes_nothing(harness: Harness) -> None:
    holder = harness.connect()
    job = harness.submit_and_assign()
    harness.report_progress(holder, job, 1)
    with recorded_statements("UPDATE") as changes:
        harness.services.generation.offer_received(job.id, job.lease or "")
    assert changes == []


def test_a_receipt_for_another_offer_is_ignored(harness: Harness) -> None:
    harness.connect()
    job = harness.submit_and_assign()
    harness.services.generation.offer_received(job.id, "token-of-another")
    assert harness.reload(job) == job


def test_a_receipt_does_not_notify_watchers(harness: Harness) -> None:
    harness.connect()
    job = harness.submit_and_assign()
    harness.bench.bus.changes.clear()
    harness.services.generation.offer_received(job.id, job.lease or "")
    assert harness.reload(job).version == job.version
    assert harness.bench.bus.changes == []


def test_a_result_starts_the_download_and_frees_the_slot(harness: Harness) -> None:
    holder, job = harness.connect_and_start()
    report = ImageGenerated(
        request_id=job.id,
        image_urls=(PICTURE, "data:image/png;base64,AA=="),
        metadata={"model": "dall-e-3"},
        lease=job.lease,
    )
    assert harness.services.generation.report(holder, report) is None
    job = harness.reload(job)
    assert (job.status, job.sources) == (Status.DOWNLOADING, list(report.sources))
    assert job.source_metadata == {"model": "dall-e-3"}
    assert (job.holder, job.lease, job.lease_until) == ("e1", None, None)
    assert harness.bench.tasks.downloads == 1
    assert harness.extension_row().held == 0
    assert harness.events(job)[-1].data == {"extension_id": "e1", "attempt": 1, "images": 2}


def test_a_result_repeated_during_the_download_is_no_error(harness: Harness) -> None:
    holder, job = harness.connect_and_start()
    harness.report_image(holder, job)
    before = harness.reload(job)
    assert harness.report_image(holder, job) is None
    assert harness.reload(job) == before
    assert harness.bench.tasks.downloads == 1


def test_a_result_repeated_after_storing_is_confirmed_again(harness: Harness) -> None:
    holder, job = harness.connect_and_start()
    harness.report_image(holder, job)
    harness.bench.fetch.answers[PICTURE] = PNG
    harness.services.download.run()
    received = harness.bench.bus.sent("image_generation_confirmed")
    again = harness.connect(number=2)
    answer = harness.report_image(again, job)
    assert isinstance(answer, ImageGenerationConfirmed)
    assert answer.image_path == received[0]["imagePath"]
    assert (answer.request_id, answer.correlation_id) == (job.id, "correlation-1")
    assert harness.event_types(job).count("ImageGeneratedEvent") == 1


def test_only_one_of_several_concurrent_results_counts(harness: Harness) -> None:
    holder, job = harness.connect_and_start()
    with ThreadPoolExecutor(6) as pool:
        list(pool.map(lambda _: harness.report_image(holder, job), range(12)))
    assert harness.bench.tasks.downloads == 1
    assert harness.event_types(job).count("ImageDownloadStartedEvent") == 1


def test_only_one_of_a_concurrent_result_and_failure_counts(harness: Harness) -> None:
    for _ in range(6):
        holder, job = harness.connect_and_start()

        def report(n: int, holder=holder, job=job) -> str:  # type: ignore[no-untyped-def]
            try:
                (harness.report_image if n % 2 else harness.report_failure)(holder, job)
            except LeaseLost:
                return "lost"
            return "taken"

        with ThreadPoolExecutor(2) as pool:
            received = list(pool.map(report, range(2)))
        assert sorted(received) == ["lost", "taken"]
        assert harness.extension_row().held == 0
        harness.update_extension(cooldown_until=0, failures=0, available=False)
        harness.services.cancellation.cancel(job.id)


@pytest.mark.parametrize("image_urls", [(PICTURE,), (PICTURE,) * 10])
def test_the_number_of_pictures_is_stored(harness: Harness, image_urls: tuple[str, ...]) -> None:
    holder, job = harness.connect_and_start()
    harness.services.generation.report(holder, ImageGenerated(request_id=job.id, image_urls=image_urls))
    assert harness.events(job)[-1].data["images"] == len(image_urls)
