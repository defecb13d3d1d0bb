"""What each process reads now and then."""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from itertools import count
from threading import Event

import pytest

from app.domain.errors import Unavailable
from app.services import snapshots
from app.services.snapshots import LONGEST_PAUSE, PAUSE_FACTOR, Snapshot


class Clock:
    """A clock that tests set."""

    def __init__(self) -> None:
        self.now = 100.0

    def monotonic(self) -> float:
        return self.now


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    clock = Clock()
    monkeypatch.setattr(snapshots, "time", clock)
    return clock


def numbers(clock: Clock, took_s: float = 0.0) -> Callable[[], int]:
    """A read that returns 1, 2 and so on, and takes that long."""
    following = count(1)

    def read() -> int:
        clock.now += took_s
        return next(following)

    return read


def test_it_is_read_once_in_its_time(clock: Clock) -> None:
    snapshot = Snapshot(numbers(clock), 1.0)
    assert [snapshot.get(), snapshot.get()] == [1, 1]
    clock.now += 1
    assert [snapshot.get(), snapshot.get()] == [2, 2]


def test_it_is_read_again_when_it_is_forgotten(clock: Clock) -> None:
    snapshot = Snapshot(numbers(clock), 1.0)
    assert snapshot.get() == 1
    snapshot.forget()
    assert [snapshot.get(), snapshot.get()] == [2, 2]


@pytest.mark.parametrize(("took_s", "age_s"), [(0.2, 0.2 * PAUSE_FACTOR), (5.0, LONGEST_PAUSE)])
def test_the_longer_it_takes_the_less_often_it_is_read(clock: Clock, took_s: float, age_s: float) -> None:
    snapshot = Snapshot(numbers(clock, took_s), 1.0)
    begun = clock.now
    assert snapshot.get() == 1
    clock.now = begun + age_s - 0.001
    assert snapshot.get() == 1
    clock.now = begun + age_s + 0.001
    assert snapshot.get() == 2


def test_while_one_thread_reads_others_get_the_one_before() -> None:
    reading, go_on, following = Event(), Event(), count(1)

    def read() -> int:
        number = next(following)
        if number == 2:
            reading.set()
            assert go_on.wait(20)
        return number

    snapshot = Snapshot(read, 1_000)
    assert snapshot.get() == 1
    snapshot.forget()
    with ThreadPoolExecutor(1) as pool:
        other = pool.submit(snapshot.get)
        assert reading.wait(20)
        assert snapshot.get() == 1
        go_on.set()
        assert other.result() == 2


def test_the_first_readers_share_one_read() -> None:
    following = count(1)
    snapshot = Snapshot(lambda: next(following), 1_000)
    with ThreadPoolExecutor(8) as pool:
        assert set(pool.map(lambda _: snapshot.get(), range(8))) == {1}


def test_a_failed_read_is_tried_again(clock: Clock) -> None:
    answers = iter([Unavailable(), None])

    def read() -> str:
        if (error := next(answers)) is not None:
            raise error
        return "read"

    snapshot = Snapshot(read, 1.0)
    with pytest.raises(Unavailable):
        snapshot.get()
    assert snapshot.get() == "read"
