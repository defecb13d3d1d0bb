"""The order of the queue, simulated with the real policy: shares by weight, nobody waits for another's batch, ageing."""

from __future__ import annotations

from collections import Counter, defaultdict
from dataclasses import dataclass, field, replace
from itertools import count

import pytest

from app.domain.fair_queueing import UNIT, Priority, in_order, virtual_start


@dataclass(frozen=True)
class Waiting:
    id: str
    user: str
    model: str
    priority: int
    virtual_start: int
    served_at: int = 0

    @property
    def queue_key(self) -> str:
        return self.model


@dataclass
class Fleet:
    """Queues as the database holds them, and extensions that take one job at a time."""

    waiting: dict[str, Waiting] = field(default_factory=dict)
    times: dict[tuple[str, int], int] = field(default_factory=lambda: defaultdict(int))
    served: dict[tuple[str, int], int] = field(default_factory=lambda: defaultdict(int))
    numbers: count[int] = field(default_factory=count)

    def submit(self, user: str, jobs: int = 1, *, weight: int = 1, model: str = "m", priority: int = 1) -> None:
        for _ in range(jobs):
            same = [
                job.virtual_start
                for job in self.waiting.values()
                if (job.user, job.model, job.priority) == (user, model, priority)
            ]
            start = virtual_start(self.times[model, priority], max(same, default=None), weight)
            job = Waiting(f"{next(self.numbers):06}", user, model, priority, start)
            self.waiting[job.id] = job

    def submit_many(self, user: str, jobs: int, weight: int) -> None:
        """The same as `submit`, without looking for the user's last job each time."""
        for n in range(jobs):
            job = Waiting(f"{next(self.numbers):06}", user, "m", 1, n * (UNIT // weight))
            self.waiting[job.id] = job

    def take(self, *models: str) -> Waiting:
        """The next job for an extension that makes these models, or any."""
        able = [
            replace(job, served_at=self.served[job.model, job.priority])
            for job in self.waiting.values()
            if not models or job.model in models
        ]
        return self._take(in_order(able, 1)[0])

    def take_all(self) -> list[Waiting]:
        """All jobs in the order in which one extension takes them."""
        return [self._take(job) for job in in_order(self.waiting.values(), len(self.waiting))]

    def _take(self, job: Waiting) -> Waiting:
        key = job.model, job.priority
        self.times[key] = max(self.times[key], job.virtual_start)
        self.served[key] = next(self.numbers)
        del self.waiting[job.id]
        return job


def jain(shares: list[int]) -> float:
    """Jain's index of fairness: 1 if all shares are equal."""
    return sum(shares) ** 2 / (len(shares) * sum(share * share for share in shares))


def test_users_share_by_their_weights_over_any_700_hand_offs() -> None:
    fleet, weights = Fleet(), {"ann": 1, "bob": 2, "carl": 4}
    for user, weight in weights.items():
        fleet.submit_many(user, 5_000, weight)
    served = [job.user for job in fleet.take_all()]
    while_all_have_work = min(len(served) - 1 - served[::-1].index(user) for user in weights)
    for begin in range(0, while_all_have_work - 700, 50):
        shares = Counter(served[begin : begin + 700])
        assert shares == {user: pytest.approx(100 * weight, abs=2) for user, weight in weights.items()}


def test_equals_get_equal_shares() -> None:
    fleet = Fleet()
    for user in "abcdefghij":
        fleet.submit_many(user, 500, 1)
    served = [job.user for job in fleet.take_all()]
    assert jain(list(Counter(served[:995]).values())) >= 0.99


def test_one_job_beside_5000_of_another_user_is_the_next_one() -> None:
    fleet = Fleet()
    fleet.submit_many("alice", 5_000, 1)
    for _ in range(25):
        assert fleet.take().user == "alice"
    fleet.submit("bob")
    assert fleet.take().user == "bob"
    assert fleet.take().user == "alice"


def test_a_user_who_comes_back_pays_nothing_for_what_was_served_before() -> None:
    fleet = Fleet()
    fleet.submit("bob", 50)
    fleet.take_all()
    fleet.submit("alice", 3)
    fleet.submit("bob", 3)
    assert [job.user for job in fleet.take_all()] == ["alice", "bob"] * 3


def test_a_users_own_jobs_keep_their_order() -> None:
    fleet = Fleet()
    fleet.submit("ann", 20)
    served = [job.id for job in fleet.take_all()]
    assert served == sorted(served)


def test_better_classes_go_first_and_idle_ones_only_when_nothing_else_can() -> None:
    fleet = Fleet()
    for priority in reversed(Priority):
        fleet.submit("ann", 2, priority=priority)
    fleet.submit("bob", 2, priority=Priority.HIGH, model="other")
    served = fleet.take_all()
    assert [job.priority for job in served] == [0, 0, 0, 0, 1, 1, 2, 2, 3, 3]
    fleet.submit("ann", priority=Priority.IDLE)
    fleet.submit("ann", priority=Priority.HIGH, model="other")
    assert fleet.take("m").priority == Priority.IDLE, "the other model's extension is busy"


def test_models_of_one_extension_take_turns_whatever_was_served_of_them_before() -> None:
    fleet = Fleet()
    fleet.submit("ann", 100, model="a")
    for _ in range(40):
        fleet.take("a")
    fleet.submit("bob", 3, model="b")
    assert [fleet.take("a", "b").model for _ in range(7)] == ["b", "a", "b", "a", "b", "a", "a"]


def test_models_of_one_extension_take_turns_within_one_read_of_the_queue() -> None:
    fleet = Fleet()
    fleet.submit("ann", 3, model="a", weight=4)
    fleet.submit("bob", 3, model="b")
    assert [job.model for job in fleet.take_all()] == ["a", "b"] * 3


def test_a_low_request_beside_an_endless_stream_of_high_ones_waits_no_longer_than_documented() -> None:
    """It rises after each `age`, which is looked for a hundred times; then it waits for one request of each other user."""
    fleet, age, users = Fleet(), 200, [f"user-{n}" for n in range(10)]
    fleet.submit("ann", priority=Priority.LOW)
    raised = tick = 0
    served = ""
    while served != "ann":
        for user in users:
            if sum(job.user == user for job in fleet.waiting.values()) < 3:
                fleet.submit(user, priority=Priority.HIGH)
        if tick % (age // 100) == 0 and tick >= age * (raised + 1) and raised < 2:
            [low] = [job for job in fleet.waiting.values() if job.user == "ann"]
            del fleet.waiting[low.id]
            raised += 1
            fleet.submit("ann", priority=Priority.LOW - raised)
        served = fleet.take().user
        tick += 1
    assert 2 * age < tick <= 2.02 * age + len(users) + 1


def test_only_the_first_jobs_are_returned() -> None:
    fleet = Fleet()
    fleet.submit("ann", 5)
    assert [job.id for job in in_order(fleet.waiting.values(), 2)] == ["000000", "000001"]
