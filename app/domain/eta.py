"""When a waiting request will probably start: an estimate from measured durations.

Each slot is a renewal process: it makes one picture after the other. With k pictures to be finished before a request starts,
the mean and the variance of that moment are those between two limits: durations that are all equal, where the slots finish
like uniform order statistics, and exponential ones, where they finish like a Poisson process. The moment is taken as gamma
distributed.

Other users who submit later go ahead of all but the first request of a user. If there were others lately, the estimate
allows for some of them. It allows for no requests of a better class, and for no extensions that come or leave. The numbers
below were found by simulation (tests/domain/test_eta.py).
"""

import math
from collections.abc import Collection
from dataclasses import dataclass
from typing import Self

PRIOR = 0.25  # the squared coefficient of variation that is assumed, with the weight of one measured duration
Z50, Z90 = 0.0, 1.2816  # of the normal distribution
NEWCOMERS_50, NEWCOMERS_90 = 0.5, 1.5  # other users who will submit many requests
MARGIN_90 = 1.2  # for what is not known: how far the slots are, and the true mean of the durations


@dataclass(frozen=True, slots=True)
class Durations:
    """The mean of durations in ms, their squared coefficient of variation, and how many users they are of."""

    mean_ms: float
    variation: float
    users: int = 1

    @classmethod
    def of(cls, measured_ms: Collection[int], users: int = 1) -> Self | None:
        """Of some measured durations; None without any."""
        if not measured_ms:
            return None
        count = len(measured_ms)
        mean = max(1.0, sum(measured_ms) / count)
        deviations = sum((each - mean) ** 2 for each in measured_ms)
        return cls(mean, (deviations / mean**2 + PRIOR) / count, users)


@dataclass(frozen=True, slots=True)
class Eta:
    """In how many ms a request starts, with a probability of 50 and of 90 %."""

    p50_ms: int
    p90_ms: int

    def later(self, by_ms: int) -> "Eta":
        """The same from another beginning."""
        return Eta(self.p50_ms + by_ms, self.p90_ms + by_ms)


def estimate(ahead: float, rounds: float, slots: int, free: int, durations: Durations) -> Eta:
    """When a request starts that has `ahead` others before it, on so many `slots`, of which some are `free`.

    `ahead` need not be whole: of slots that also serve other queues, it includes their share. `rounds` is how many
    requests a user who begins now may have handed out before this one: how far its virtual start is from the present.
    """
    others = durations.users > 1
    typical, many = (rounds * newcomers if others else 0 for newcomers in (NEWCOMERS_50, NEWCOMERS_90))
    p50 = _quantile(ahead + typical, slots, free, durations, Z50)
    p90 = _quantile(ahead + many, slots, free, durations, Z90)
    return Eta(round(p50), round(MARGIN_90 * p90))


def _quantile(ahead: float, slots: int, free: int, durations: Durations, z: float) -> float:
    if ahead < free:
        return 0.0
    finished = math.floor(ahead) - free + 1
    mean, variance = _moments(finished, slots, durations.variation)
    ninth = variance / mean**2 / 9
    # of a gamma distribution (Wilson and Hilferty 1931)
    return durations.mean_ms * mean * max(0.0, 1 - ninth + z * math.sqrt(ninth)) ** 3


def _moments(finished: int, slots: int, variation: float) -> tuple[float, float]:
    """Mean and variance of the time until so many pictures are finished, in mean durations."""
    rounds, last = divmod(finished - 1, slots)
    order, blend = last + 1, min(1.0, variation)
    equal = rounds + order / (slots + 1)
    spread = order * (slots - last) / ((slots + 1) ** 2 * (slots + 2))
    mean = (1 - blend) * equal + blend * finished / slots
    return mean, (1 - blend) * spread + variation * finished / slots**2
