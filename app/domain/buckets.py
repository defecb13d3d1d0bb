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


class Flow:
    """How fast something may go on: a bucket that is filled by the clock it is shown, and may run into debt.

    What comes is not refused: it is to be waited for, and `since_s` tells for how long it has had to be without a pause.
    """

    def __init__(self, per_s: int, burst_s: float, now_s: float) -> None:
        self._per_s = per_s
        self._most = per_s * burst_s
        self._tokens = self._most
        self._filled_at = now_s
        self._since: float | None = None

    def spend(self, amount: int, now_s: float) -> None:
        """So much came."""
        if self._per_s:
            self._fill(now_s)
            self._tokens -= amount

    def wait_s(self, now_s: float) -> float:
        """How long to wait before more is taken, in seconds."""
        if not self._per_s:
            return 0.0
        self._fill(now_s)
        if self._tokens >= 0:
            return 0.0
        self._since = now_s if self._since is None else self._since
        return -self._tokens / self._per_s

    def over_for_s(self, now_s: float) -> float:
        """For how long more has come than may, without a pause, in seconds."""
        self._fill(now_s)
        return 0.0 if self._since is None else now_s - self._since

    def _fill(self, now_s: float) -> None:
        self._tokens = min(self._most, self._tokens + (now_s - self._filled_at) * self._per_s)
        self._filled_at = now_s
        if self._tokens >= self._per_s:  # a second's worth was left unused: that is a pause
            self._since = None
