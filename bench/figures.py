"""The arithmetic of a measurement: medians, spreads, percentiles, ratios against a floor."""

from __future__ import annotations

import math
import statistics
from collections.abc import Sequence
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Spread:
    """The median, minimum and maximum of repeated measurements."""

    median: float
    low: float
    high: float

    @classmethod
    def of(cls, values: Sequence[float]) -> Spread:
        """Raises ValueError if there are no values."""
        if not values:
            raise ValueError("nothing was measured")
        return cls(statistics.median(values), min(values), max(values))

    def differs_from(self, other: Spread) -> bool:
        """True if the two ranges do not overlap."""
        return self.high < other.low or other.high < self.low


def percentile(values: Sequence[float], percent: float) -> float:
    """The smallest value that at least `percent` percent of all values do not exceed. Raises ValueError for no values."""
    if not values:
        raise ValueError("nothing was measured")
    ordered = sorted(values)
    return ordered[max(0, math.ceil(len(ordered) * percent / 100) - 1)]


def ratios(subject: Sequence[float], floor: Sequence[float], *, more_is_better: bool = False) -> list[float]:
    """Each repeat as a multiple of the floor that was measured next to it.

    If more is better the ratio is inverted, so that 1 is the floor and higher is worse in every case.
    """
    pairs = zip(subject, floor, strict=True)
    return [(b / a if more_is_better else a / b) if a and b else math.inf for a, b in pairs]


def formatted(value: float) -> str:
    """The value for people: three or four digits, thousands separators, no exponents."""
    size = abs(value)
    if size >= 100 or not math.isfinite(value):
        return f"{value:,.0f}"
    return f"{value:.1f}" if size >= 10 else f"{value:.2f}"
