"""When a request will start: the estimate in limiting cases, and its calibration by simulation with the order of the queue."""

from __future__ import annotations

import heapq
import math
import random
from collections.abc import Callable
from dataclasses import dataclass, field

import pytest

from app.domain.eta import MARGIN_90, Durations, Eta, estimate
from app.domain.fair_queueing import UNIT, virtual_start

EQUAL = Durations(2_000, 0.0)
EXPONENTIAL = Durations(2_000, 1.0)


def test_a_free_slot_is_used_at_once() -> None:
    assert estimate(2, 0, slots=5, free=3, durations=EQUAL) == Eta(0, 0)


def test_one_busy_slot_is_free_after_half_a_duration_if_all_are_equal() -> None:
    found = estimate(0, 0, slots=1, free=0, durations=EQUAL)
    assert found.p50_ms == pytest.approx(1_000, rel=0.15)
    assert found.p90_ms == pytest.approx(MARGIN_90 * 1_800, rel=0.05)


def test_one_busy_slot_of_exponential_durations_has_no_memory() -> None:
    found = estimate(0, 0, slots=1, free=0, durations=EXPONENTIAL)
    assert found.p50_ms == pytest.approx(2_000 * math.log(2), rel=0.05)
    assert found.p90_ms == pytest.approx(MARGIN_90 * 2_000 * math.log(10), rel=0.05)


@pytest.mark.parametrize("durations", [EQUAL, EXPONENTIAL])
def test_many_ahead_take_their_durations_divided_by_the_slots(durations: Durations) -> None:
    found = estimate(1_000, 0, slots=10, free=0, durations=durations)
    assert found.p50_ms == pytest.approx(200_000, rel=0.02)
    assert found.p90_ms == pytest.approx(MARGIN_90 * 200_000, rel=0.06)


def test_only_where_there_are_other_users_later_ones_are_allowed_for() -> None:
    alone, among_others = Durations(2_000, 0.1), Durations(2_000, 0.1, users=2)
    first = [estimate(10, 0, 1, 0, each) for each in (alone, among_others)]
    assert first[0] == first[1], "nobody goes ahead of a user's first request"
    later = [estimate(10, 10, 1, 0, each) for each in (alone, among_others)]
    assert later[0] == first[0]
    assert later[1].p90_ms > 2 * later[0].p90_ms


def test_durations_have_a_mean_and_a_variation() -> None:
    assert Durations.of([]) is None
    one = Durations.of([2_000])
    assert one == Durations(2_000, 0.25)
    many = Durations.of([1_000, 3_000] * 50, users=3)
    assert many is not None
    assert (many.mean_ms, many.users) == (2_000, 3)
    assert many.variation == pytest.approx(0.25, abs=0.01)
    assert Durations.of([0, 0]) is not None


@dataclass
class Simulation:
    """A fleet with so many slots, and users who submit bursts of up to `burst` requests at random times."""

    slots: int
    duration: Callable[[random.Random], float]
    users: int
    burst: int
    load: float
    random: random.Random = field(default_factory=lambda: random.Random(7))
    now: float = 0
    virtual_time: int = 0
    waiting: list[tuple[int, int, int, float, Eta | None]] = field(default_factory=list)  # start, id, user, since, eta
    ends: list[tuple[float, float, int]] = field(
        default_factory=list
    )  # the end of what is made, how long it takes, the user
    measured: list[tuple[float, int]] = field(default_factory=list)
    started: list[tuple[float, Eta]] = field(
        default_factory=list
    )  # how long each waited that had to wait, and its estimate

    def run(self, count: int) -> None:
        """Run until so many requests have started that had to wait."""
        mean = sum(self.duration(self.random) for _ in range(2_000)) / 2_000
        rate = self.load * self.slots / mean / ((1 + self.burst) / 2)
        arrives, number = self.random.expovariate(rate), 0
        while len(self.started) < count:
            if self.ends and self.ends[0][0] < arrives:
                self.now, took, user = heapq.heappop(self.ends)
                self.measured = [*self.measured[-49:], (took, user)]
            else:
                self.now, arrives = arrives, arrives + self.random.expovariate(rate)
                user = self.random.randrange(self.users)
                for _ in range(self.random.randint(1, self.burst)):
                    number += 1
                    self.submit(number, user)
            self.hand_out()

    def submit(self, number: int, user: int) -> None:
        last = max((start for start, _, owner, *_ in self.waiting if owner == user), default=None)
        start = virtual_start(self.virtual_time, last, weight=1)
        ahead = sum(each[0] <= start for each in self.waiting)
        heapq.heappush(self.waiting, (start, number, user, self.now, self.estimate(start, ahead)))

    def estimate(self, start: int, ahead: int) -> Eta | None:
        durations = Durations.of([round(took) for took, _ in self.measured], len({user for _, user in self.measured}))
        rounds = (start - self.virtual_time) / UNIT
        free = self.slots - len(self.ends)
        return None if durations is None else estimate(ahead, rounds, self.slots, free, durations)

    def hand_out(self) -> None:
        while self.waiting and len(self.ends) < self.slots:
            start, _, user, since, eta = heapq.heappop(self.waiting)
            self.virtual_time = max(self.virtual_time, start)
            took = self.duration(self.random)
            heapq.heappush(self.ends, (self.now + took, took, user))
            if eta is not None and eta.p90_ms > 0:
                self.started.append((self.now - since, eta))


DURATIONS: dict[str, Callable[[random.Random], float]] = {
    "equal": lambda _: 2_000,
    "lognormal": lambda r: 2_000 * math.exp(r.gauss(0, 0.5)),
    "exponential": lambda r: r.expovariate(1 / 2_000),
    "a tenth of them long": lambda r: 1_000 if r.random() < 0.9 else 10_000,
}
# users, the most that one submits at once, and the share of the slots that is used
LOADS = [(1, 60, 0.8), (1, 1, 0.85), (2, 20, 0.7), (5, 20, 0.7), (20, 10, 0.85), (20, 1, 0.85)]


@pytest.mark.parametrize(("users", "burst", "load"), LOADS)
def test_nine_of_ten_requests_start_before_their_p90(users: int, burst: int, load: float) -> None:
    in_time = total = 0
    for slots in (1, 3, 10):
        for duration in DURATIONS.values():
            simulation = Simulation(slots, duration, users, burst, load)
            simulation.run(700)
            in_time += sum(waited <= eta.p90_ms for waited, eta in simulation.started)
            total += len(simulation.started)
    assert 0.85 <= in_time / total <= 0.97
