"""Pictures come home, whatever happens on the way."""

from __future__ import annotations

import base64
import hashlib
import threading
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
from PIL import Image

from app.adapters.fetch_errors import AddressRefused, BadAnswer, HostBusy, HostUnreachable
from app.adapters.store import LocalStore, StoreError
from app.db import events, images
from app.db.images import StoredImage
from app.db.jobs import Job
from app.domain.errors import DOWNLOAD_FAILED
from app.domain.states import Status
from app.domain.tokens import UploadPlace
from app.services.cancellation import Cancellation
from app.services.download import JUDGING_MS, Download
from app.services.tidying import ABANDONED_MS, Tidying
from tests.support.fakes import Bench
from tests.support.hostile_images import drawn, png, saved
from tests.support.jobs_made import connected, downloading, found, generated, processing, set_values

URL = "https://images.example/a.png"
OTHER = "https://images.example/b.png"
PNG = png(8, 8)


def run(bench: Bench, job: Job) -> Job:
    Download(bench.tools).run(job.id)
    return found(bench.database, job)


def make_due(bench: Bench, job: Job) -> None:
    set_values(bench.database, job, due_at=0)


def stored(bench: Bench, job: Job) -> list[StoredImage]:
    return bench.database.read(lambda c: images.of_job(c, job.id))


def facts(bench: Bench, job: Job) -> list[str]:
    return [event.type for event in bench.database.read(lambda c: events.after(c, job.id, 0))]


def upload(bench: Bench, job: Job, position: int = 0, attempt: int = 1, content: bytes = PNG) -> str:
    place = UploadPlace(job.id, attempt, position)
    with bench.store.stage() as staged:
        staged.file.write(content)
        bench.store.keep_upload(staged, *place)
    bench.database.write(lambda tx: images.reserve_upload(tx, place, 0))
    bench.database.write(lambda tx: images.complete_upload(tx, place, "0" * 64, len(content)))
    return "http://127.0.0.1:3000" + place.path


def uploads(bench: Bench, job: Job) -> list[UploadPlace]:
    return bench.database.read(lambda c: images.uploads_of(c, job.id))


def test_a_job_completes_with_its_picture_on_the_disk(bench: Bench) -> None:
    bench.fetch.answers[URL] = PNG
    job = run(bench, downloading(bench, URL))
    (image,) = stored(bench, job)
    assert (job.status, job.progress, job.lease) == (Status.COMPLETED, 100, None)
    assert job.finished_at is not None
    assert bench.files() == [image.file]
    content = (bench.store.root / image.file).read_bytes()
    assert image.sha256 == hashlib.sha256(content).hexdigest()
    assert image == StoredImage(0, image.file, URL, 8, 8, len(content), image.sha256)


def test_the_event_names_the_paths_of_the_pictures(bench: Bench) -> None:
    bench.fetch.answers[URL] = PNG
    job = run(bench, downloading(bench, URL))
    last = bench.database.read(lambda c: events.after(c, job.id, 0))[-1]
    assert last.type == "ImageGeneratedEvent"
    assert last.data == {"image_paths": [f"/generated-images/{stored(bench, job)[0].file}"]}


def test_several_pictures_have_names_of_their_own_in_their_order(bench: Bench) -> None:
    urls = [f"https://images.example/{n}.png" for n in range(10)]
    bench.fetch.answers = {url: png(8 + n, 8) for n, url in enumerate(urls)}
    job = run(bench, downloading(bench, *urls))
    kept = stored(bench, job)
    assert [(image.source_url, image.width) for image in kept] == [(url, 8 + n) for n, url in enumerate(urls)]
    stamps = [int(image.file.removesuffix(".png").rpartition("_")[2]) for image in kept]
    assert stamps == list(range(stamps[0], stamps[0] + 10))
    assert bench.files() == sorted(image.file for image in kept)


@pytest.mark.parametrize("form", ["JPEG", "WEBP"])
def test_other_formats_are_stored_as_png(bench: Bench, form: str) -> None:
    bench.fetch.answers[URL] = saved(drawn(), form)
    job = run(bench, downloading(bench, URL))
    with Image.open(bench.store.root / stored(bench, job)[0].file) as image:
        assert (image.format, image.size) == ("PNG", (48, 32))


def test_one_bad_picture_spoils_them_all(bench: Bench) -> None:
    bench.fetch.answers = {URL: PNG, OTHER: b"<html>"}
    job = run(bench, downloading(bench, URL, OTHER))
    assert (job.status, job.error_code) == (Status.FAILED, DOWNLOAD_FAILED)
    assert job.error == "The bytes are not a PNG, JPEG or WEBP picture."
    assert bench.files() == []


def test_a_picture_inside_its_url_is_taken_and_the_url_is_not_kept(bench: Bench) -> None:
    job = run(bench, downloading(bench, "data:image/png;base64," + base64.b64encode(PNG).decode()))
    assert job.status is Status.COMPLETED
    assert stored(bench, job)[0].source_url is None
    assert bench.fetch.asked == []


def test_a_data_url_that_is_none_fails_the_job(bench: Bench) -> None:
    job = run(bench, downloading(bench, "data:image/svg+xml;base64,PHN2Zz4="))
    assert job.error_code == DOWNLOAD_FAILED
    assert bench.files() == []


def test_an_upload_is_taken_from_where_it_lies_and_is_gone_then(bench: Bench) -> None:
    job = processing(bench)
    upload(bench, job, 1)
    job = run(bench, generated(bench, job, upload(bench, job, 0)))
    assert job.status is Status.COMPLETED
    assert stored(bench, job)[0].source_url is None
    assert bench.fetch.asked == []
    assert uploads(bench, job) == []
    assert bench.files() == [stored(bench, job)[0].file]


def test_an_upload_that_is_not_there_fails_the_job(bench: Bench) -> None:
    job = processing(bench)
    url = upload(bench, job)
    bench.store.discard_upload(job.id, 1, 0)
    job = run(bench, generated(bench, job, url))
    assert job.error == "The upload that the extension named as its picture has not arrived whole in this attempt."
    assert uploads(bench, job) == []


def test_an_upload_that_is_still_on_its_way_is_not_taken(bench: Bench) -> None:
    job = processing(bench)
    place = UploadPlace(job.id, 1, 0)
    bench.database.write(lambda tx: images.reserve_upload(tx, place, 0))
    assert run(bench, generated(bench, job, f"http://127.0.0.1{place.path}")).status is Status.FAILED


def test_an_upload_of_another_attempt_is_not_taken(bench: Bench) -> None:
    job = processing(bench)
    assert run(bench, generated(bench, job, upload(bench, job, attempt=2))).status is Status.FAILED


def test_an_upload_of_another_job_is_a_url_like_any_other(bench: Bench) -> None:
    theirs = upload(bench, processing(bench))
    bench.fetch.answers[theirs] = AddressRefused("127.0.0.1 is not at a public address.")
    job = run(bench, downloading(bench, theirs))
    assert bench.fetch.asked == [theirs]
    assert job.status is Status.FAILED


def test_the_extension_is_told_that_its_pictures_are_stored(bench: Bench) -> None:
    connected(bench)
    bench.fetch.answers[URL] = PNG
    job = run(bench, downloading(bench, URL))
    (message,) = bench.bus.sent("image_generation_confirmed")
    assert message["requestId"] == job.id
    assert message["imagePath"] == f"/generated-images/{stored(bench, job)[0].file}"
    assert message["correlationId"] == job.correlation_id


def test_an_extension_that_is_gone_is_not_told(bench: Bench) -> None:
    bench.fetch.answers[URL] = PNG
    assert run(bench, downloading(bench, URL)).status is Status.COMPLETED
    assert bench.bus.to_hubs == []


def test_running_again_and_running_what_is_not_due_changes_nothing(bench: Bench) -> None:
    bench.fetch.answers[URL] = PNG
    Download(bench.tools).run("550e8400-e29b-41d4-a716-446655440000")
    waiting = processing(bench)
    assert run(bench, waiting) == waiting
    job = run(bench, downloading(bench, URL))
    assert run(bench, job) == job
    assert len(bench.fetch.asked) == 1


def test_of_many_workers_one_downloads(bench: Bench) -> None:
    bench.fetch.answers[URL] = PNG
    job = downloading(bench, URL)
    with ThreadPoolExecutor(6) as pool:
        list(pool.map(lambda _: Download(bench.tools).run(job.id), range(12)))
    assert bench.fetch.asked == [URL]
    assert found(bench.database, job).status is Status.COMPLETED
    assert facts(bench, job).count("ImageGeneratedEvent") == 1
    assert len(bench.files()) == 1


def test_a_claim_lasts_as_long_as_the_download_may(bench: Bench) -> None:
    held: list[Job] = []

    def answer() -> bytes:
        held.append(found(bench.database, job))
        return PNG

    bench.fetch.answers = {URL: answer, OTHER: answer}
    job = downloading(bench, URL, OTHER)
    run(bench, job)
    assert held[0].lease is not None
    assert held[0].download_attempt == 1
    settings = bench.tools.settings
    assert held[0].due_at - held[0].updated_at == pytest.approx(
        2 * (settings.download_timeout_ms + JUDGING_MS), abs=999
    )


@pytest.mark.parametrize(
    ("error", "pause_ms"),
    [
        (HostUnreachable("gone"), 1_000),
        (HostBusy("busy", retry_after_ms=7_000), 7_000),
        (HostBusy("busy", retry_after_ms=0), 1_000),
        (StoreError("full"), 1_000),
        (OSError(28, "No space left on device"), 1_000),
    ],
)
def test_what_may_heal_is_tried_again_after_a_pause(bench: Bench, error: Exception, pause_ms: int) -> None:
    bench.fetch.answers[URL] = error
    job = downloading(bench, URL)
    set_values(bench.database, job, progress_note="Almost there")
    job = run(bench, job)
    assert (job.status, job.lease, job.download_attempt) == (Status.DOWNLOADING, None, 1)
    assert job.progress_note == "Almost there"
    assert job.due_at - job.updated_at == pytest.approx(pause_ms, abs=999)
    assert run(bench, job) == job
    make_due(bench, job)
    bench.fetch.answers[URL] = PNG
    assert run(bench, job).status is Status.COMPLETED


def test_after_as_many_attempts_as_allowed_the_job_fails(bench: Bench) -> None:
    bench.fetch.answers[URL] = HostUnreachable("images.example could not be reached.")
    job = downloading(bench, URL)
    for _ in range(bench.tools.settings.max_download_attempts):
        make_due(bench, job)
        job = run(bench, job)
    assert (job.status, job.error_code) == (Status.FAILED, DOWNLOAD_FAILED)
    assert job.error == "images.example could not be reached."
    assert job.finished_at is not None
    assert len(bench.fetch.asked) == 4
    assert facts(bench, job)[-1] == "ImageGenerationFailedEvent"


@pytest.mark.parametrize("error", [AddressRefused("private"), BadAnswer("rubbish")])
def test_what_cannot_heal_fails_at_once_and_the_extension_may_let_go(bench: Bench, error: Exception) -> None:
    connected(bench)
    bench.fetch.answers[URL] = error
    job = run(bench, downloading(bench, URL))
    assert (job.status, job.error, job.holder) == (Status.FAILED, str(error), None)
    assert [message["requestId"] for message in bench.bus.sent("cancel_generation")] == [job.id]


def test_a_failed_job_keeps_no_upload(bench: Bench) -> None:
    job = processing(bench)
    url = upload(bench, job, content=b"rubbish")
    job = run(bench, generated(bench, job, url))
    assert job.status is Status.FAILED
    assert uploads(bench, job) == []
    assert bench.files() == []


class Killed(BaseException):
    """As when a process ends: nothing catches it."""


class BreakingStore(LocalStore):
    """Publishes `whole` files, then raises `error` behind the publishing of one more."""

    def __init__(self, bench: Bench, whole: int, error: BaseException) -> None:
        super().__init__(bench.store.root)
        self.whole = whole
        self.error = error

    def publish(self, staged: Any, name: str) -> None:
        super().publish(staged, name)
        self.whole -= 1
        if self.whole < 0:
            raise self.error


def test_a_disk_that_fails_halfway_leaves_nothing(bench: Bench) -> None:
    bench.fetch.answers = {URL: PNG, OTHER: PNG}
    broken = bench.with_tools(store=BreakingStore(bench, 1, StoreError("The disk is full.")))
    job = run(broken, downloading(bench, URL, OTHER))
    assert job.status is Status.DOWNLOADING
    assert bench.files() == []
    make_due(bench, job)
    assert run(bench, job).status is Status.COMPLETED
    assert len(bench.files()) == 2


def test_a_worker_that_is_killed_leaves_files_that_are_found_and_a_job_that_is_done_anew(bench: Bench) -> None:
    bench.fetch.answers = {URL: PNG, OTHER: PNG}
    job = downloading(bench, URL, OTHER)
    with pytest.raises(Killed):
        run(bench.with_tools(store=BreakingStore(bench, 1, Killed())), job)
    left = bench.files()
    assert len(left) == 2
    assert run(bench, job).status is Status.DOWNLOADING  # its lease is not over
    make_due(bench, job)
    job = run(bench, job)
    assert job.status is Status.COMPLETED
    kept = sorted(image.file for image in stored(bench, job))
    assert bench.files() == sorted([*left, *kept])
    assert Tidying(bench.tools).sweep(job.updated_at + ABANDONED_MS + 1) == 2
    assert bench.files() == kept


def test_a_job_that_kills_its_worker_each_time_fails_in_the_end(bench: Bench) -> None:
    bench.fetch.answers[URL] = lambda: (_ for _ in ()).throw(Killed())
    job = downloading(bench, URL)
    for _ in range(bench.tools.settings.max_download_attempts):
        make_due(bench, job)
        with pytest.raises(Killed):
            run(bench, job)
    make_due(bench, job)
    job = run(bench, job)
    assert (job.status, job.error_code) == (Status.FAILED, DOWNLOAD_FAILED)
    assert job.error == "The download was begun 4 times and never came to an end."


def test_a_download_that_is_overtaken_leaves_only_the_files_of_the_other(bench: Bench) -> None:
    def overtaken() -> bytes:
        bench.fetch.answers[URL] = PNG
        make_due(bench, job)
        Download(bench.tools).run(job.id)
        return PNG

    bench.fetch.answers[URL] = overtaken
    job = downloading(bench, URL)
    job = run(bench, job)
    assert job.status is Status.COMPLETED
    assert facts(bench, job).count("ImageGeneratedEvent") == 1
    assert bench.files() == [image.file for image in stored(bench, job)]
    assert bench.database.write(lambda tx: images.give_up_intended(tx, 2**53, 10)) == []


@pytest.mark.parametrize("answer", [PNG, b"rubbish", HostUnreachable("gone")])
def test_a_job_that_is_cancelled_while_its_picture_comes_stays_cancelled(bench: Bench, answer: Any) -> None:
    def cancelled() -> bytes:
        Cancellation(bench.tools).cancel(job.id)
        if isinstance(answer, Exception):
            raise answer
        return bytes(answer)

    bench.fetch.answers[URL] = cancelled
    job = downloading(bench, URL)
    job = run(bench, job)
    assert job.status is Status.CANCELLED
    assert bench.files() == []
    assert bench.bus.sent("image_generation_confirmed") == []


class SweepingStore(LocalStore):
    """Is so slow to publish that a sweep comes first."""

    def __init__(self, bench: Bench, job: Job) -> None:
        super().__init__(bench.store.root)
        self.bench = bench
        self.job = job

    def publish(self, staged: Any, name: str) -> None:
        assert Tidying(self.bench.tools).sweep(self.job.updated_at + ABANDONED_MS + 60_000) == 1
        super().publish(staged, name)


def test_a_download_whose_files_were_swept_meanwhile_completes_nothing_and_leaves_nothing(bench: Bench) -> None:
    bench.fetch.answers[URL] = PNG
    job = downloading(bench, URL)
    job = run(bench.with_tools(store=SweepingStore(bench, job)), job)
    assert job.status is Status.DOWNLOADING
    assert bench.files() == []
    make_due(bench, job)
    assert run(bench, job).status is Status.COMPLETED


def test_a_job_without_sources_ends_too(bench: Bench) -> None:
    job = downloading(bench)
    assert run(bench, job).error_code == DOWNLOAD_FAILED


def test_while_a_picture_comes_no_transaction_is_open(bench: Bench) -> None:
    done = threading.Event()

    def answer() -> bytes:
        with ThreadPoolExecutor(1) as pool:
            pool.submit(lambda: processing(bench)).result(10)
        done.set()
        return PNG

    bench.fetch.answers[URL] = answer
    assert run(bench, downloading(bench, URL)).status is Status.COMPLETED
    assert done.is_set()
