"""Upload bodies that are too large, break off or arrive too late."""

from __future__ import annotations

import io
from base64 import b64encode
from concurrent.futures import ThreadPoolExecutor
from typing import Any, BinaryIO

import pytest

from app.adapters.store import LocalStore, StoreError
from app.db.jobs import Job
from app.db.tables import uploads as table
from app.domain.errors import (
    AlreadyUploaded,
    InvalidRequest,
    PayloadTooLarge,
    Refusal,
    Unavailable,
)
from app.services.cancellation import Cancellation
from app.services.uploads import STALE_MS
from tests.support.fakes import Bench
from tests.support.image_samples import encoded, sample_image
from tests.support.job_factory import processing_job
from tests.support.uploads import PNG, send


@pytest.mark.parametrize("length", [None, 101])
def test_too_many_bytes_are_refused_and_the_upload_can_be_repeated(bench: Bench, length: int | None) -> None:
    small = bench.with_settings(max_image_bytes=100)
    job = processing_job(bench)
    with pytest.raises(PayloadTooLarge, match="100 bytes"):
        send(small, job, PNG.ljust(101, b"x"), length=length)
    assert bench.files() == []
    assert send(small, job, PNG.ljust(100, b"x")).bytes == 100


@pytest.mark.parametrize(
    ("body", "reason"),
    [
        (b"------WebKitFormBoundary\r\nContent-Disposition: form-data\r\n\r\n" + PNG, "is a multipart form"),
        (b64encode(PNG), "is base64 text"),
        (b64encode(b"\xff\xd8\xff\xe0"), "is base64 text"),
        (b64encode(b"RIFF\0\0\0\0WEBP"), "is base64 text"),
        (b"data:image/png;base64," + b64encode(PNG), "is a data: URL"),
        (b'{"image": "' + b64encode(PNG) + b'"}', "is JSON"),
        (b"\xef\xbb\xbf [1]", "is JSON"),
        (b'"' + b64encode(PNG) + b'"', "is JSON"),
        (b"\n<!doctype html>", "is HTML or XML"),
        (b"https://images.example/a.png", "is a URL"),
        (b"GIF89a", "not a PNG, JPEG or WEBP"),
        (b"\x89", "not a PNG, JPEG or WEBP"),
    ],
)
def test_what_is_no_picture_is_refused_with_the_reason_and_the_upload_can_be_repeated(
    bench: Bench, body: bytes, reason: str
) -> None:
    job = processing_job(bench)
    with pytest.raises(InvalidRequest, match=f"{reason}.*Send the bytes of the PNG, JPEG or WEBP file alone"):
        send(bench, job, body, length=len(body))
    assert bench.files() == []
    assert send(bench, job).bytes == len(PNG)


@pytest.mark.parametrize("form", ["PNG", "JPEG", "WEBP"])
def test_pictures_of_each_format_are_accepted(bench: Bench, form: str) -> None:
    assert send(bench, processing_job(bench), encoded(sample_image(), form)).position == 0


def test_no_more_is_read_than_may_be_stored(bench: Bench) -> None:
    job = processing_job(bench)
    stream = io.BytesIO(b"x" * 1_000_000)
    with pytest.raises(PayloadTooLarge):
        send(bench.with_settings(max_image_bytes=100), job, stream)
    assert stream.tell() <= 65_536


class Breaking(io.BytesIO):
    """A body whose connection breaks."""

    def __init__(self, content: bytes, error: BaseException) -> None:
        super().__init__(content)
        self.error = error

    def read(self, size: int | None = -1) -> bytes:
        piece = super().read(size)
        if not piece:
            raise self.error
        return piece


class Killed(BaseException):
    """Simulates the end of a process: no code catches it."""


@pytest.mark.parametrize(
    ("stream", "length", "refusal"),
    [
        (Breaking(PNG[:20], ConnectionResetError()), len(PNG), InvalidRequest),
        (io.BytesIO(PNG[:20]), len(PNG), InvalidRequest),
        (io.BytesIO(PNG + b"x"), len(PNG), InvalidRequest),
        (io.BytesIO(b""), None, InvalidRequest),
        (Breaking(PNG[:20], Killed()), None, Killed),
    ],
    ids=["reset", "short", "long", "empty", "killed"],
)
def test_a_broken_upload_leaves_nothing_and_can_be_repeated(
    bench: Bench, stream: BinaryIO, length: int | None, refusal: type[BaseException]
) -> None:
    stream.seek(0)
    job = processing_job(bench)
    with pytest.raises(refusal):
        send(bench, job, stream, length=length)
    assert bench.files() == []
    assert send(bench, job).bytes == len(PNG)


def test_a_position_reserved_by_a_crashed_process_is_free_again_after_a_time(bench: Bench) -> None:
    job = processing_job(bench)
    place = {"job_id": job.id, "attempt": 1, "position": 0}
    bench.database.write(lambda tx: tx.connection.execute(table.insert().values(created_at=tx.now - 1_000, **place)))
    with pytest.raises(AlreadyUploaded):
        send(bench, job)
    bench.database.write(lambda tx: tx.connection.execute(table.update().values(created_at=tx.now - STALE_MS - 1)))
    assert send(bench, job).bytes == len(PNG)
    with pytest.raises(AlreadyUploaded):
        send(bench, job)


class FullStore(LocalStore):
    """A store on a full disk."""

    def keep_upload(self, *_: object) -> None:
        raise StoreError("The picture cannot be stored: No space left on device.")


def test_a_full_disk_is_reported_and_the_upload_can_be_repeated(bench: Bench) -> None:
    job = processing_job(bench)
    with pytest.raises(Unavailable, match="No space left on device"):
        send(bench.with_ports(store=FullStore(bench.store.root)), job)
    assert send(bench, job).bytes == len(PNG)


class Meanwhile(io.BytesIO):
    """A body during which something else happens."""

    def __init__(self, happens: Any) -> None:
        super().__init__(PNG)
        self.happens = happens

    def read(self, size: int | None = -1) -> bytes:
        self.happens()
        return super().read(size)


def test_an_upload_is_refused_if_its_request_was_cancelled_meanwhile(bench: Bench) -> None:
    job = processing_job(bench)

    def cancel() -> None:
        Cancellation(bench.ports).cancel(job.id)

    with pytest.raises(Refusal, match="address is outdated"):
        send(bench, job, Meanwhile(cancel))


def test_no_transaction_is_open_while_a_body_is_received(bench: Bench) -> None:
    others: list[Job] = []

    def write() -> None:
        with ThreadPoolExecutor(1) as pool:
            others.append(pool.submit(lambda: processing_job(bench)).result(10))

    send(bench, processing_job(bench), Meanwhile(write))
    assert others
