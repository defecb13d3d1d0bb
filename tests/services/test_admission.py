from __future__ import annotations

import shutil

import pytest

from app.domain.errors import Unavailable
from app.domain.orders import Order
from app.services.admission import Admission
from app.services.submission import Submission
from tests.support.fakes import Bench

CORRELATION = "correlation-1"


def submission(bench: Bench) -> Submission:
    """It looks each time."""
    return Submission(bench.tools, Admission(bench.tools, look_every_s=0))


def test_a_line_that_is_too_long_takes_nobody_more(bench: Bench) -> None:
    door = submission(bench.with_settings(max_waiting=2))
    for _ in range(2):
        door.submit(Order("a fox"), CORRELATION)
    with pytest.raises(Unavailable, match="2 requests wait") as caught:
        door.submit(Order("a fox"), CORRELATION)
    assert caught.value.retry_after_s == 30


def test_a_disk_that_is_nearly_full_takes_nobody_more(bench: Bench) -> None:
    free = shutil.disk_usage(bench.store.root).free
    submission(bench.with_settings(min_free_disk_bytes=free // 2)).submit(Order("a fox"), CORRELATION)
    with pytest.raises(Unavailable, match="nearly full") as caught:
        submission(bench.with_settings(min_free_disk_bytes=free * 2)).submit(Order("a fox"), CORRELATION)
    assert caught.value.retry_after_s == 60


def test_a_disk_that_is_gone_takes_nobody_more(bench: Bench) -> None:
    shutil.rmtree(bench.store.root)
    with pytest.raises(Unavailable, match="cannot be found out"):
        submission(bench).submit(Order("a fox"), CORRELATION)


def test_it_does_not_look_for_each_request(bench: Bench) -> None:
    door = Submission(bench.tools, Admission(bench.tools, look_every_s=60))
    door.submit(Order("a fox"), CORRELATION)
    shutil.rmtree(bench.store.root)
    door.submit(Order("a fox"), CORRELATION)
