"""Token buckets: so much at once, and so much more as time goes by. Arithmetic alone, on whole microseconds.

A bucket is kept as its debt: the time in µs until it is full again. Empty of debt it is full, so nothing has to be kept
of who has not come for a while.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

SECOND_US = 1_000_000


@dataclass(frozen=True, slots=True)
class Bucket:
    """Holds `capacity` tokens; one comes back every `interval_us` microseconds."""

    interval_us: int
    capacity: int

    @classmethod
    def of(cls, tokens: int, window_ms: int, capacity: int) -> Bucket:
        """A bucket that gets `tokens` back every `window_ms`."""
        return cls(max(1, round(window_ms * 1000 / tokens)), capacity)

    @property
    def deepest_us(self) -> int:
        """The debt of a bucket with nothing in it."""
        return self.interval_us * self.capacity

    def left(self, debt_us: int) -> int:
        """How many tokens are in it."""
        return max(0, self.deepest_us - debt_us) // self.interval_us

    def wait_us(self, debt_us: int, cost: int = 1) -> int:
        """How long until `cost` tokens are in it; 0 where they are. A bucket never holds more than its capacity."""
        return max(0, debt_us + min(cost, self.capacity) * self.interval_us - self.deepest_us)


def take(buckets: Sequence[Bucket], debts_us: Sequence[int], cost: int = 1) -> list[int] | None:
    """The debts once `cost` tokens are taken from every bucket; None where one of them has too few: none gives any."""
    if any(bucket.wait_us(debt, cost) for bucket, debt in zip(buckets, debts_us, strict=True)):
        return None
    return [debt + cost * bucket.interval_us for bucket, debt in zip(buckets, debts_us, strict=True)]
