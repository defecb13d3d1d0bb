"""The plan of a run: requests, behaviour of extensions, and faults. The same seed always makes the same plan."""

from __future__ import annotations

import random
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from enum import StrEnum
from functools import cached_property

from tests.chaos.receiver_plan import WELL, ReceiverPlan, draw_receiver

MODELS = ("dall-e-3", "dall-e-2")
ANY_MODEL = "image-generation"
PLANNED_ATTEMPTS = 3  # attempts of a request that are planned; later ones succeed
FIRST_FAULT_S = 3.0


class Behaviour(StrEnum):
    """What an extension does with a request."""

    NORMAL = "normal"
    SLOW = "is slow, and reports progress for longer than the request time-out"
    RETURN = "disconnects and reconnects within the grace period"
    LATE = "disconnects, reconnects after the grace period and delivers anyway"
    CRASH = "disconnects and has lost all state when it reconnects"
    SILENT = "sends nothing for longer than the time-out, then delivers"
    FREEZE = "reads and answers nothing for a while"
    FORGET = "leaves the request out of its heartbeats, then delivers"
    TWICE = "sends its result twice"
    CONTRADICT = "sends its result, then a failure"
    FAIL = "fails in a way that a retry may fix"
    LIMITED = "is rate-limited by its site"
    REFUSED = "reports that the content was refused"
    GARBAGE = "sends garbage first"


class Source(StrEnum):
    """How a picture is delivered; those after UPLOAD describe how the image host responds to the first download."""

    DATA = "in the report itself"
    UPLOAD = "by upload"
    WEB = "by http"
    SLOW = "by http, slowly"
    STALL = "by http, stalling beyond the download time-out"
    BREAK = "by http, truncated"
    FLAKY = "by http, 500 at first"
    GONE = "by http, 404 always"
    HEAVY = "by http, a picture that takes long to validate"


class Follow(StrEnum):
    """How a client follows its request."""

    POLL = "poll"
    WAIT = "wait"
    STREAM = "stream"


@dataclass(frozen=True, slots=True)
class AttemptPlan:
    """What happens in one attempt at a request."""

    behaviour: Behaviour = Behaviour.NORMAL
    work_s: float = 0.2
    source: Source = Source.DATA


@dataclass(frozen=True, slots=True)
class PlannedRequest:
    """One request of a client, and what happens in its first attempts."""

    number: int
    at_s: float
    model: str
    images: int
    follow: Follow
    attempts: tuple[AttemptPlan, ...]
    cancel_after_s: float | None = None
    deadline_ms: int | None = None

    @property
    def user(self) -> str:
        """Whose request it is, unless it is an item of a batch."""
        return f"user-{self.number % 7}"

    def attempt(self, nth: int) -> AttemptPlan:
        """What happens in its `nth` attempt, from 0."""
        return self.attempts[nth] if nth < len(self.attempts) else AttemptPlan()


@dataclass(frozen=True, slots=True)
class PlannedBatch:
    """A batch of a client. After `pause_after_s` it is paused for `pause_s`; what still waits after `cancel_after_s` is
    cancelled; at its end, what failed is tried once more if `retries`."""

    number: int
    at_s: float
    concurrency: int
    items: tuple[PlannedRequest, ...]
    pause_after_s: float | None = None
    pause_s: float = 0.0
    cancel_after_s: float | None = None
    retries: bool = False


@dataclass(frozen=True, slots=True)
class ExtensionPlan:
    """An extension. A literal one implements only the contract; `echoes` is whether it sends leases back."""

    index: int
    literal: bool
    echoes: bool
    slots: int
    capabilities: tuple[str, ...]

    @property
    def name(self) -> str:
        """Its id."""
        return f"extension-{self.index}"


@dataclass(frozen=True, slots=True)
class Fault:
    """A fault at `at_s` in process number `which`, lasting `seconds` if it lasts."""

    at_s: float
    kind: str
    which: int
    seconds: float


@dataclass(frozen=True)
class Plan:
    """Everything that is random in a run."""

    seed: int
    seconds: float
    requests: tuple[PlannedRequest, ...]
    extensions: tuple[ExtensionPlan, ...]
    faults: tuple[Fault, ...]
    batches: tuple[PlannedBatch, ...] = ()
    receiver: ReceiverPlan = WELL

    def request(self, number: int) -> PlannedRequest:
        """The request, or the item of a batch, with this number."""
        single = len(self.requests)
        return self.requests[number] if number < single else self._items[number - single]

    @cached_property
    def _items(self) -> list[PlannedRequest]:
        return [item for batch in self.batches for item in batch.items]


# The range of its duration in seconds: shorter and longer than the time-outs that detect it.
FAULTS = {
    "web.kill": (0.0, 0.0),
    "web.freeze": (1.0, 7.0),
    "web.term": (0.0, 0.0),
    "web.rolling": (6.0, 6.0),
    "worker.kill": (0.0, 0.0),
    "worker.freeze": (2.0, 8.0),
    "worker.term": (0.0, 0.0),
    "worker.child": (0.0, 0.0),
    "beat.kill": (0.0, 0.0),
    "beat.freeze": (2.0, 6.0),
    "beat.double": (4.0, 8.0),
    "redis.kill": (0.5, 3.0),
    "redis.freeze": (1.0, 7.0),
    "redis.flush": (0.0, 0.0),
    "redis.pause": (0.5, 4.0),
    "redis.deafen": (0.0, 0.0),
    "redis.disconnect": (0.0, 0.0),
    "host.away": (1.0, 4.0),
    "database.lock": (0.5, 4.0),
}
POSTGRESQL_FAULTS = {"postgresql.restart": (0.0, 0.0), "postgresql.crash": (0.0, 0.0)}
LONG_FAULTS = {"download.thaw": (28.0, 28.0)}  # the run must be long enough for the lease of a download to expire
LONG_RUN_S = 60.0

ODD_BEHAVIOURS = [behaviour for behaviour in Behaviour if behaviour is not Behaviour.NORMAL]
WEB_SOURCES = [Source.WEB, Source.WEB, Source.SLOW, Source.STALL, Source.BREAK, Source.FLAKY]


def draw(seed: int, jobs: int, seconds: float, *, postgresql: bool = False, faults: int | None = None) -> Plan:
    """The plan of this seed: `jobs` requests within `seconds`, and a fault every few seconds (or `faults` of them)."""
    randomness = random.Random(seed)
    count = round(seconds / 4) if faults is None else faults
    return Plan(
        seed,
        seconds,
        tuple(_request(randomness, number, seconds) for number in range(jobs)),
        tuple(_extensions(randomness)),
        tuple(_faults(randomness, count, seconds, postgresql)),
        tuple(_batches(random.Random(-1 - seed), jobs, seconds)),
        draw_receiver(random.Random(f"receiver {seed}"), seconds),
    )


def _request(randomness: random.Random, number: int, seconds: float) -> PlannedRequest:
    attempts = _attempts(randomness, number)
    return PlannedRequest(
        number=number,
        at_s=round(randomness.uniform(0, seconds), 3),
        model=randomness.choice(MODELS),
        images=1 if attempts[0].source is Source.HEAVY else randomness.choice((1, 1, 1, 2)),
        follow=randomness.choice(list(Follow)),
        attempts=attempts,
        cancel_after_s=round(randomness.uniform(0.1, 6), 3) if randomness.random() < 0.05 else None,
        deadline_ms=randomness.randrange(3_000, 15_000) if randomness.random() < 0.03 else None,
    )


def _batches(randomness: random.Random, jobs: int, seconds: float) -> Iterator[PlannedBatch]:
    """Batches with half as many items as there are single requests, in which every control is used."""
    first = jobs
    for number, share in enumerate((4, 8, 16, 16)):
        count = max(2, jobs // share)
        at_s = round(randomness.uniform(0, seconds / 3), 3)
        items = (replace(_request(randomness, first + n, seconds), at_s=at_s) for n in range(count))
        plain = tuple(replace(item, cancel_after_s=None, deadline_ms=None) for item in items)
        yield PlannedBatch(
            number,
            at_s,
            randomness.choice((1, 3, 8)) if number else 8,
            plain,
            pause_after_s=round(randomness.uniform(0.5, seconds / 3), 3) if number in {0, 1} else None,
            pause_s=round(randomness.uniform(1, 5), 3),
            cancel_after_s=round(randomness.uniform(1, seconds / 2), 3) if number == 2 else None,
            retries=number in {0, 3},
        )
        first += count


def _attempts(randomness: random.Random, number: int) -> tuple[AttemptPlan, ...]:
    if number % 97 == 41:  # it crashes every extension, and must end nevertheless
        return tuple(AttemptPlan(Behaviour.CRASH, 0.2) for _ in range(12))
    if number % 25 == 3:
        return (AttemptPlan(Behaviour.NORMAL, 0.2, Source.HEAVY),) * PLANNED_ATTEMPTS
    return tuple(_attempt(randomness, odd) for odd in (0.4, 0.3, 0.0))


def _attempt(randomness: random.Random, odd: float) -> AttemptPlan:
    behaviour = randomness.choice(ODD_BEHAVIOURS) if randomness.random() < odd else Behaviour.NORMAL
    source = randomness.choice([Source.DATA, Source.UPLOAD, randomness.choice(WEB_SOURCES)])
    if odd and randomness.random() < 0.02:
        source = Source.GONE
    return AttemptPlan(behaviour, round(randomness.uniform(0.1, 1.2), 3), source)


def _extensions(randomness: random.Random) -> Sequence[ExtensionPlan]:
    kinds = [(True, False), (True, False), (True, True), (False, False), (False, True), (False, True), (False, True)]
    extensions = []
    for index, (literal, echoes) in enumerate([*kinds, *kinds]):
        abilities = randomness.choice(((ANY_MODEL,), (ANY_MODEL, *MODELS), (ANY_MODEL, MODELS[index % 2]), ()))
        slots = 1 if literal and not echoes else randomness.randrange(1, 5)
        extensions.append(ExtensionPlan(index, literal, echoes, slots, abilities))
    return extensions


def _faults(randomness: random.Random, count: int, seconds: float, postgresql: bool) -> Sequence[Fault]:
    kinds = {**FAULTS, **(POSTGRESQL_FAULTS if postgresql else {}), **(LONG_FAULTS if seconds >= LONG_RUN_S else {})}
    drawn: list[str] = []
    while len(drawn) < count:  # each kind once before any is repeated
        drawn += randomness.sample(sorted(kinds), len(kinds))
    gap = max(seconds - FIRST_FAULT_S, 1.0) / max(count, 1)
    return [
        Fault(
            round(FIRST_FAULT_S + (n + randomness.random()) * gap, 3),
            kind,
            randomness.randrange(1000),
            round(randomness.uniform(*kinds[kind]), 3),
        )
        for n, kind in enumerate(drawn[:count])
    ]
