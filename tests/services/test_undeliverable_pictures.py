"""What happens if an extension reports pictures that cannot be stored: who is blamed, and where the request goes."""

import base64

import pytest

from app.adapters.fetch_errors import (
    AddressRefused,
    BadResponse,
    FetchTimeout,
    HostBusy,
    HostUnreachable,
    LookupFailed,
    NoSuchPicture,
)
from app.adapters.store import StoreError
from app.db.tables import images
from app.domain.errors import DOWNLOAD_FAILED
from app.domain.images import PictureError
from app.domain.messages import ImageGenerated
from app.domain.states import Status
from tests.support.harness import PICTURE, Harness
from tests.support.image_samples import png

PAGE = b"<!doctype html><title>Please sign in</title>"
OTHER = "https://others.example/a.png"
EMBEDDED = f"data:image/png;base64,{base64.b64encode(png(8, 8)).decode()}"
REASON = "The bytes are not a PNG, JPEG or WEBP picture."


@pytest.fixture
def harness(harness: Harness) -> Harness:
    """A download is tried once."""
    return harness.with_settings(max_download_attempts=1)


def test_a_request_whose_picture_is_none_goes_to_another_extension(harness: Harness) -> None:
    harness.bench.fetch.answers[PICTURE] = PAGE
    holder, job = harness.connect_and_start("e1")
    harness.report_image(holder, job, metadata={"seed": 1})
    harness.run_downloads()

    job = harness.reload(job)
    assert (job.status, job.strikes, job.avoid, job.holder) == (Status.ACCEPTED, 1, "e1", None)
    assert (job.sources, job.source_metadata, job.generated_at, job.download_attempt) == (None, None, None, 0)
    assert harness.events(job)[-1].data == {
        "extension_id": "e1",
        "attempt": 1,
        "code": DOWNLOAD_FAILED,
        "reason": REASON,
    }
    assert [each["requestId"] for each in harness.bench.bus.sent("cancel_generation")] == [job.id]

    harness.connect("e2")
    assert harness.assign() == 1
    assert harness.reload(job).holder == "e2"


def test_the_extension_that_delivered_no_picture_is_paused_longer_each_time(harness: Harness) -> None:
    harness = harness.with_settings(max_attempts=10)
    harness.bench.fetch.answers[PICTURE] = PAGE
    holder, job = harness.connect_and_start("e1")
    for failures, pause_ms in ((1, 2_000), (2, 4_000), (3, 8_000)):
        harness.report_image(holder, job)
        before = harness.now()
        harness.run_downloads()
        extension = harness.extension_row()
        assert (extension.failures, extension.last_success_at) == (failures, 0)
        assert before + pause_ms <= extension.cooldown_until <= harness.now() + pause_ms
        assert extension.cooldown_reason == f"It delivered no picture that could be stored ({DOWNLOAD_FAILED})."
        harness.update_extension(cooldown_until=0)
        harness.assign()


def test_the_request_fails_with_the_reason_after_its_last_attempt(harness: Harness) -> None:
    harness = harness.with_settings(max_attempts=2)
    harness.bench.fetch.answers[PICTURE] = PAGE
    job = harness.submit()
    for name in ("e1", "e2"):
        holder = harness.connect(name)
        harness.assign()
        harness.report_image(holder, job)
        harness.run_downloads()
        assert harness.extension_row(name).failures == 1
    job = harness.reload(job)
    assert (job.status, job.error_code, job.error) == (Status.FAILED, DOWNLOAD_FAILED, REASON)


def test_a_report_is_no_success_but_a_stored_picture_is(harness: Harness) -> None:
    harness.bench.fetch.answers[PICTURE] = png(8, 8)
    holder, job = harness.connect_and_start()
    harness.update_extension(failures=3)
    harness.report_image(holder, job)
    extension = harness.extension_row()
    assert (extension.failures, extension.last_success_at, extension.held) == (3, 0, 0)

    harness.run_downloads()
    extension = harness.extension_row()
    assert extension.failures == 0
    assert (harness.reload(job).generated_at or 0) <= extension.last_success_at <= harness.now()


def test_a_stored_picture_does_not_end_the_pause_of_a_later_failure(harness: Harness) -> None:
    harness.bench.fetch.answers[PICTURE] = png(8, 8)
    holder = harness.connect("e1", max_concurrent=2)
    first, second = harness.submit(), harness.submit()
    harness.assign()
    harness.report_image(holder, first)
    harness.report_failure(holder, second, "Too many requests", retry_after_ms=60_000)
    harness.run_downloads()
    assert harness.reload(first).status is Status.COMPLETED
    assert harness.extension_row().cooldown_until > harness.now()


@pytest.mark.parametrize(
    "error", [BadResponse("It is empty."), NoSuchPicture("It answered 404."), AddressRefused("It is private.")]
)
def test_what_cannot_be_fetched_is_the_extensions_fault(harness: Harness, error: PictureError) -> None:
    harness.bench.fetch.answers[PICTURE] = error
    holder, job = harness.connect_and_start()
    harness.report_image(holder, job)
    harness.run_downloads()
    assert (harness.reload(job).status, harness.extension_row().failures) == (Status.ACCEPTED, 1)


def fail_after_another(harness: Harness, error: PictureError, others: str, stored_ms_ago: int) -> None:
    """Another extension's picture at the address `others` is stored, and one that e1 delivered a minute ago is not there."""
    harness.bench.fetch.answers[PICTURE] = error
    harness.bench.fetch.answers[OTHER] = png(8, 8)
    holder, job = harness.connect_and_start("e1")
    another = harness.connect("e2")
    drawn = harness.submit_and_start()
    harness.services.generation.report(another, ImageGenerated(request_id=drawn.id, image_url=others))
    harness.run_downloads()
    assert harness.reload(drawn).status is Status.COMPLETED
    stored_at = harness.now() - stored_ms_ago
    harness.bench.database.write(lambda tx: tx.connection.execute(images.update().values(created_at=stored_at)))

    harness.report_image(holder, job)
    harness.update_job(job, generated_at=harness.now() - 60_000)
    harness.run_downloads()
    job = harness.reload(job)
    assert (job.status, job.strikes, harness.extension_row("e2").failures) == (Status.ACCEPTED, 1, 0)


@pytest.mark.parametrize("error", [HostUnreachable("away"), HostBusy("It answered 503."), FetchTimeout("slow")])
@pytest.mark.parametrize(
    ("others", "stored_ms_ago", "blamed"),
    [(OTHER, 1_000, True), (OTHER, 90_000, False), (OTHER, -86_400_000, False), (EMBEDDED, 1_000, False)],
)
def test_a_host_that_is_away_speaks_against_the_extension_only_if_others_pictures_are_fetched(
    harness: Harness, error: PictureError, others: str, stored_ms_ago: int, blamed: bool
) -> None:
    fail_after_another(harness, error, others, stored_ms_ago)
    assert harness.extension_row("e1").failures == int(blamed)


def test_a_name_that_cannot_be_looked_up_is_nobodys_fault(harness: Harness) -> None:
    fail_after_another(harness, LookupFailed("The resolver is away."), OTHER, 1_000)
    assert harness.extension_row("e1").failures == 0


@pytest.mark.parametrize("error", [StoreError("The disk is full."), OSError(30, "Read-only file system")])
def test_a_fault_of_this_service_charges_nobody_and_the_request_waits(harness: Harness, error: Exception) -> None:
    harness = harness.with_settings(max_attempts=1)
    harness.bench.fetch.answers[PICTURE] = error
    holder, job = harness.connect_and_start()
    harness.report_image(holder, job)
    for _ in range(5):
        harness.run_downloads()
        waiting = harness.reload(job)
        assert (waiting.status, waiting.download_attempt, waiting.strikes) == (Status.DOWNLOADING, 0, 0)
        assert waiting.due_at > harness.now()
        harness.update_job(job, due_at=0)
    assert harness.extension_row().failures == 0

    harness.bench.fetch.answers[PICTURE] = png(8, 8)
    harness.run_downloads()
    assert harness.reload(job).status is Status.COMPLETED


def test_a_fault_of_this_service_fails_the_request_after_the_queue_timeout(harness: Harness) -> None:
    harness.bench.fetch.answers[PICTURE] = StoreError("The disk is full.")
    holder, job = harness.connect_and_start()
    harness.report_image(holder, job)
    harness.update_job(job, generated_at=harness.now() - harness.services.settings.queue_timeout_ms)
    harness.run_downloads()
    job = harness.reload(job)
    assert (job.status, job.error_code, job.error) == (Status.FAILED, DOWNLOAD_FAILED, "The disk is full.")
    assert harness.extension_row().failures == 0
