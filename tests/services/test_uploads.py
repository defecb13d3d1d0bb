"""Extensions hand pictures over themselves."""

from __future__ import annotations

import hashlib
import io
from concurrent.futures import ThreadPoolExecutor
from typing import Any, BinaryIO

import pytest

from app.adapters.store import LocalStore, StoreError
from app.db.jobs import Job
from app.db.tables import uploads as table
from app.domain.errors import (
    AlreadyUploaded,
    Forbidden,
    InvalidRequest,
    NotFound,
    PayloadTooLarge,
    Refusal,
    Unavailable,
)
from app.domain.states import Status
from app.domain.tokens import UploadGrant
from app.services.cancellation import Cancellation
from app.services.dispatch import upload_key
from app.services.download import Download
from app.services.uploads import STALE_MS, Receipt, Uploads
from tests.support.fakes import Bench
from tests.support.hostile_images import png
from tests.support.jobs_made import found, generated, processing

PNG = png(8, 8)
NOBODY = "550e8400-e29b-41d4-a716-446655440000"


def send(
    bench: Bench,
    job: Job,
    content: bytes | BinaryIO = PNG,
    *,
    length: int | None = None,
    position: int = 0,
    **changed: Any,
) -> Receipt:
    """Send the content as the job's extension would; `changed` are the parts of the grant that are not as granted."""
    key = bench.database.write(lambda tx: upload_key(bench.tools, tx))
    granted: dict[str, Any] = {"request_id": job.id, "attempt": 1, "expires_at": job.updated_at + 60_000}
    signature = UploadGrant(**{**granted, **changed.pop("signed", {})}).signature(key)
    stream = io.BytesIO(content) if isinstance(content, bytes) else content
    sent = {"signature": signature, "position": position, "stream": stream, "length": length}
    return Uploads(bench.tools).receive(**{**granted, **sent, **changed})


def lying(bench: Bench, job: Job, position: int = 0) -> bytes | None:
    file = bench.store.open_upload(job.id, 1, position)
    if file is None:
        return None
    with file:
        return file.read()


def test_a_picture_that_was_handed_over_completes_its_job(bench: Bench) -> None:
    job = processing(bench)
    receipt = send(bench, job, length=len(PNG))
    assert receipt == Receipt(0, hashlib.sha256(PNG).hexdigest(), len(PNG), f"/api/uploads/{job.id}/1/0")
    assert lying(bench, job) == PNG
    job = generated(bench, job, "https://pictures.example/behind/a/proxy" + receipt.path)
    Download(bench.tools).run(job.id)
    assert found(bench.database, job).status is Status.COMPLETED
    assert bench.fetch.asked == []


def test_each_position_takes_one_picture(bench: Bench) -> None:
    job = processing(bench)
    for position in range(10):
        send(bench, job, png(8, 8 + position), position=position)
    with pytest.raises(AlreadyUploaded) as caught:
        send(bench, job, b"other", position=3)
    assert (caught.value.code, caught.value.status) == ("ERR_ALREADY_UPLOADED", 409)
    assert lying(bench, job, 3) == png(8, 11)


def test_of_many_at_once_one_is_taken(bench: Bench) -> None:
    job = processing(bench)

    def attempt(n: int) -> bool:
        try:
            send(bench, job, bytes([n]) * 1_000)
        except AlreadyUploaded:
            return False
        return True

    with ThreadPoolExecutor(6) as pool:
        assert sorted(pool.map(attempt, range(6))) == [False] * 5 + [True]


@pytest.mark.parametrize("position", [-1, 10, 1_000_000])
def test_a_position_is_0_to_9(bench: Bench, position: int) -> None:
    with pytest.raises(InvalidRequest, match="position must be a whole number from 0 to 9"):
        send(bench, processing(bench), position=position)


@pytest.mark.parametrize(
    "changed",
    [
        {"signature": ""},
        {"signature": "ä"},
        {"signature": "0" * 64},
        {"attempt": 2},
        {"expires_at": 2**60},
        {"request_id": NOBODY},
    ],
)
def test_what_was_not_granted_is_forbidden(bench: Bench, changed: dict[str, Any]) -> None:
    with pytest.raises(Forbidden, match="signature is not valid"):
        send(bench, processing(bench), **changed)
    assert bench.files() == []


def test_a_grant_ends(bench: Bench) -> None:
    job = processing(bench)
    over: dict[str, Any] = {"expires_at": job.updated_at - 1}
    with pytest.raises(Forbidden, match="expired"):
        send(bench, job, signed=over, **over)


def test_a_grant_for_a_request_that_is_gone_finds_nothing(bench: Bench) -> None:
    gone: dict[str, Any] = {"request_id": NOBODY}
    with pytest.raises(NotFound):
        send(bench, processing(bench), signed=gone, **gone)


def test_a_grant_is_for_one_attempt(bench: Bench) -> None:
    other: dict[str, Any] = {"attempt": 2}
    with pytest.raises(Forbidden, match="no longer in the attempt"):
        send(bench, processing(bench), signed=other, **other)


def test_a_request_that_has_moved_on_takes_no_picture(bench: Bench) -> None:
    job = processing(bench)
    generated(bench, job, "https://images.example/a.png")
    with pytest.raises(Forbidden, match="no longer in the attempt"):
        send(bench, job)
    assert bench.files() == []


@pytest.mark.parametrize("length", [None, 101])
def test_more_bytes_than_allowed_are_refused_and_another_may_be_sent(bench: Bench, length: int | None) -> None:
    small = bench.with_settings(max_image_bytes=100)
    job = processing(bench)
    with pytest.raises(PayloadTooLarge, match="100 bytes"):
        send(small, job, b"x" * 101, length=length)
    assert bench.files() == []
    assert send(small, job, b"x" * 100).bytes == 100


def test_no_more_is_read_than_may_be_kept(bench: Bench) -> None:
    job = processing(bench)
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
    """As when a process ends: nothing catches it."""


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
def test_a_body_that_breaks_off_leaves_nothing_and_may_be_sent_again(
    bench: Bench, stream: BinaryIO, length: int | None, refusal: type[BaseException]
) -> None:
    stream.seek(0)
    job = processing(bench)
    with pytest.raises(refusal):
        send(bench, job, stream, length=length)
    assert bench.files() == []
    assert send(bench, job).bytes == len(PNG)


def test_a_place_whose_taker_crashed_is_free_again_in_time(bench: Bench) -> None:
    job = processing(bench)
    place = {"job_id": job.id, "attempt": 1, "position": 0}
    bench.database.write(lambda tx: tx.connection.execute(table.insert().values(created_at=tx.now - 1_000, **place)))
    with pytest.raises(AlreadyUploaded):
        send(bench, job)
    bench.database.write(lambda tx: tx.connection.execute(table.update().values(created_at=tx.now - STALE_MS - 1)))
    assert send(bench, job).bytes == len(PNG)
    with pytest.raises(AlreadyUploaded):
        send(bench, job)


class FullStore(LocalStore):
    """A disk without room."""

    def keep_upload(self, *_: object) -> None:
        raise StoreError("The picture cannot be stored: No space left on device.")


def test_a_full_disk_is_said_and_it_may_be_sent_again(bench: Bench) -> None:
    job = processing(bench)
    with pytest.raises(Unavailable, match="No space left on device"):
        send(bench.with_tools(store=FullStore(bench.store.root)), job)
    assert send(bench, job).bytes == len(PNG)


class Meanwhile(io.BytesIO):
    """A body during which something else happens."""

    def __init__(self, happens: Any) -> None:
        super().__init__(PNG)
        self.happens = happens

    def read(self, size: int | None = -1) -> bytes:
        self.happens()
        return super().read(size)


def test_a_request_that_is_cancelled_while_its_picture_comes_is_refused_it(bench: Bench) -> None:
    job = processing(bench)

    def cancel() -> None:
        Cancellation(bench.tools).cancel(job.id)

    with pytest.raises(Refusal, match="no longer in the attempt"):
        send(bench, job, Meanwhile(cancel))


def test_while_a_body_comes_no_transaction_is_open(bench: Bench) -> None:
    others: list[Job] = []

    def write() -> None:
        with ThreadPoolExecutor(1) as pool:
            others.append(pool.submit(lambda: processing(bench)).result(10))

    send(bench, processing(bench), Meanwhile(write))
    assert others
