from __future__ import annotations

import shutil
from types import SimpleNamespace

import pytest

from app.container import build
from app.db import jobs
from app.domain.errors import Unavailable
from app.domain.image_request import ImageRequest
from app.services.admission import Admission
from app.services.fleet_summaries import FleetSummaries
from app.services.input_images import InputImages
from app.services.styles import Styles
from app.services.submission import Submission
from app.services.waiting import Waiting
from app.services.webhooks import Webhooks
from tests.support.disks import read_only
from tests.support.fakes import Bench

CORRELATION = "correlation-1"


def submission(bench: Bench) -> Submission:
    """A submission service that checks at every request."""
    return checking_every(0, bench)


def checking_every(seconds: float, bench: Bench) -> Submission:
    """A submission service that checks every `seconds`."""
    admission = Admission(bench.ports, check_every_s=seconds)
    waiting = Waiting(bench.ports, FleetSummaries(bench.ports))
    styles, webhooks = Styles(bench.ports), Webhooks(bench.ports)
    return Submission(
        bench.ports, admission, styles, build(bench.ports).reuse, waiting, webhooks, InputImages(bench.ports)
    )


def test_a_full_queue_refuses_new_requests(bench: Bench) -> None:
    submissions = submission(bench.with_settings(max_waiting=2))
    for _ in range(2):
        submissions.submit(ImageRequest("a fox"), CORRELATION)
    with pytest.raises(Unavailable, match="2 requests are already waiting") as caught:
        submissions.submit(ImageRequest("a fox"), CORRELATION)
    assert caught.value.retry_after_s == 30


def test_a_nearly_full_disk_refuses_new_requests(bench: Bench) -> None:
    free = shutil.disk_usage(bench.store.root).free
    submission(bench.with_settings(min_free_disk_bytes=free // 2)).submit(ImageRequest("a fox"), CORRELATION)
    with pytest.raises(Unavailable, match="almost full") as caught:
        submission(bench.with_settings(min_free_disk_bytes=free * 2)).submit(ImageRequest("a fox"), CORRELATION)
    assert caught.value.retry_after_s == 60


def test_an_unavailable_disk_refuses_new_requests(bench: Bench) -> None:
    shutil.rmtree(bench.store.root)
    with pytest.raises(Unavailable, match="cannot be determined"):
        submission(bench).submit(ImageRequest("a fox"), CORRELATION)


def test_a_disk_that_cannot_be_written_refuses_new_requests_until_it_can(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    submissions = submission(bench)
    with monkeypatch.context() as patch:
        read_only(patch)
        with pytest.raises(Unavailable, match="Read-only file system") as caught:
            submissions.submit(ImageRequest("a fox"), CORRELATION)
    assert caught.value.retry_after_s == 60
    submissions.submit(ImageRequest("a fox"), CORRELATION)
    assert bench.files() == []


def test_the_queue_is_not_counted_for_each_request(bench: Bench) -> None:
    submissions = checking_every(60, bench)
    submissions.submit(ImageRequest("a fox"), CORRELATION)
    shutil.rmtree(bench.store.root)
    submissions.submit(ImageRequest("a fox"), CORRELATION)


@pytest.mark.parametrize(("takes_s", "checks"), [(0.001, 60), (0.05, 12), (3.0, 6)])
def test_a_slow_count_is_repeated_less_often(
    bench: Bench, monkeypatch: pytest.MonkeyPatch, takes_s: float, checks: int
) -> None:
    now = 0.0
    counted: list[float] = []

    def count_waiting(_: object, most: int) -> int:
        nonlocal now
        counted.append(now)
        now += takes_s
        return most - 1

    monkeypatch.setattr("app.services.admission.time", SimpleNamespace(monotonic=lambda: now))
    monkeypatch.setattr(jobs, "count_waiting", count_waiting)
    submissions = Admission(bench.ports)
    while now < 60:
        submissions.check()
        now += 0.01
    assert len(counted) == pytest.approx(checks, abs=1)


@pytest.mark.parametrize(("waiting", "checks"), [(0, 3), (900_000, 12), (999_999, 60)])
def test_a_queue_that_cannot_be_full_yet_is_not_counted_but_the_disk_is_checked(
    bench: Bench, monkeypatch: pytest.MonkeyPatch, waiting: int, checks: int
) -> None:
    now = 0.0
    counted_at: list[float] = []
    at_disk: list[float] = []

    def count_waiting(*_: object) -> int:
        counted_at.append(now)
        return waiting

    def free_bytes() -> int:
        at_disk.append(now)
        return 2**40

    monkeypatch.setattr("app.services.admission.time", SimpleNamespace(monotonic=lambda: now))
    monkeypatch.setattr(jobs, "count_waiting", count_waiting)
    monkeypatch.setattr(bench.store, "free_bytes", free_bytes)
    submissions = Admission(bench.with_settings(max_waiting=1_000_000).ports)
    while now < 60:
        submissions.check()
        now += 0.01
    assert len(counted_at) == pytest.approx(checks, abs=1)
    assert len(at_disk) == pytest.approx(60, abs=1)
