"""Extensions upload pictures with a signed grant."""

from __future__ import annotations

import hashlib
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest

from app.domain.errors import (
    AlreadyUploaded,
    Forbidden,
    InvalidRequest,
    NotFound,
)
from app.domain.states import Status
from app.services.download import Download
from app.services.uploads import Receipt
from tests.support.fakes import Bench
from tests.support.image_samples import png
from tests.support.job_factory import processing_job, reload_job, report_generated
from tests.support.uploads import PNG, send, stored_upload

UNKNOWN = "550e8400-e29b-41d4-a716-446655440000"


def test_an_uploaded_picture_completes_its_job(bench: Bench) -> None:
    job = processing_job(bench)
    receipt = send(bench, job, length=len(PNG))
    assert receipt == Receipt(0, hashlib.sha256(PNG).hexdigest(), len(PNG), f"/api/uploads/{job.id}/1/0")
    assert stored_upload(bench, job) == PNG
    job = report_generated(bench, job, "https://pictures.example/behind/a/proxy" + receipt.path)
    Download(bench.ports).run()
    assert reload_job(bench.database, job).status is Status.COMPLETED
    assert bench.fetch.requested == []


def test_each_position_accepts_one_picture(bench: Bench) -> None:
    job = processing_job(bench)
    for position in range(10):
        send(bench, job, png(8, 8 + position), position=position)
    with pytest.raises(AlreadyUploaded) as caught:
        send(bench, job, b"other", position=3)
    assert (caught.value.code, caught.value.status) == ("ERR_ALREADY_UPLOADED", 409)
    assert stored_upload(bench, job, 3) == png(8, 11)


def test_only_one_of_many_concurrent_uploads_is_accepted(bench: Bench) -> None:
    job = processing_job(bench)

    def attempt(n: int) -> bool:
        try:
            send(bench, job, png(8, 8 + n))
        except AlreadyUploaded:
            return False
        return True

    with ThreadPoolExecutor(6) as pool:
        assert sorted(pool.map(attempt, range(6))) == [False] * 5 + [True]


@pytest.mark.parametrize("position", [-1, 10, 1_000_000])
def test_a_position_is_0_to_9(bench: Bench, position: int) -> None:
    with pytest.raises(InvalidRequest, match="position must be a whole number from 0 to 9"):
        send(bench, processing_job(bench), position=position)


@pytest.mark.parametrize(
    "changed",
    [
        {"signature": ""},
        {"signature": "ä"},
        {"signature": "0" * 64},
        {"attempt": 2},
        {"expires_at": 2**60},
        {"request_id": UNKNOWN},
    ],
)
def test_an_upload_that_differs_from_its_grant_is_forbidden(bench: Bench, changed: dict[str, Any]) -> None:
    with pytest.raises(Forbidden, match="signature is invalid"):
        send(bench, processing_job(bench), **changed)
    assert bench.files() == []


def test_a_grant_expires(bench: Bench) -> None:
    job = processing_job(bench)
    over: dict[str, Any] = {"expires_at": job.updated_at - 1}
    with pytest.raises(Forbidden, match="expired"):
        send(bench, job, signed=over, **over)


def test_a_grant_for_an_unknown_request_is_not_found(bench: Bench) -> None:
    gone: dict[str, Any] = {"request_id": UNKNOWN}
    with pytest.raises(NotFound):
        send(bench, processing_job(bench), signed=gone, **gone)


def test_a_grant_is_for_one_attempt(bench: Bench) -> None:
    other: dict[str, Any] = {"attempt": 2}
    with pytest.raises(Forbidden, match="address is outdated"):
        send(bench, processing_job(bench), signed=other, **other)


def test_a_request_that_is_no_longer_processing_accepts_no_upload(bench: Bench) -> None:
    job = processing_job(bench)
    report_generated(bench, job, "https://images.example/a.png")
    with pytest.raises(Forbidden, match="address is outdated"):
        send(bench, job)
    assert bench.files() == []
