"""The arithmetic of a measurement: medians, spreads, percentiles, ratios against a floor."""

from __future__ import annotations

import math
import statistics
from collections.abc import Sequence
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Spread:
    """What repeats of one measurement said: the middle one, and the two ends."""

    median: float
    low: float
    high: float

    @classmethod
    def of(cls, values: Sequence[float]) -> Spread:
        """Raises ValueError where there are none."""
        if not values:
            raise ValueError("nothing was measured")
        return cls(statistics.median(values), min(values), max(values))

    def apart_from(self, other: Spread) -> bool:
        """True where every repeat of the one lies on one side of every repeat of the other."""
        return self.high < other.low or other.high < self.low


def percentile(values: Sequence[float], percent: float) -> float:
    """The smallest value that at least `percent` percent of all values do not exceed. Raises ValueError for no values."""
    if not values:
        raise ValueError("nothing was measured")
    ordered = sorted(values)
    return ordered[max(0, math.ceil(len(ordered) * percent / 100) - 1)]


def ratios(subject: Sequence[float], floor: Sequence[float], *, more_is_better: bool = False) -> list[float]:
    """How many times the floor each repeat costs, each against the floor measured right beside it.

    Where more is better the ratio is turned over, so that 1 is the floor and more is worse in every case.
    """
    pairs = zip(subject, floor, strict=True)
    return [(b / a if more_is_better else a / b) if a and b else math.inf for a, b in pairs]


def shown(value: float) -> str:
    """The value as people read it: three or four digits, thousands set apart, no exponents."""
    size = abs(value)
    if size >= 100 or not math.isfinite(value):
        return f"{value:,.0f}"
    return f"{value:.1f}" if size >= 10 else f"{value:.2f}"
