"""Flow control: how fast one peer may send. It is slowed down rather than refused."""

from __future__ import annotations


class Flow:
    """A token bucket that may go into debt, refilled by the clock that its caller passes; `per_s` 0 is no limit.

    What has arrived counts at once; `wait_s` is the time to wait before reading on.
    """

    def __init__(self, per_s: int, burst_s: float, now_s: float) -> None:
        self._per_s = per_s
        self._capacity = per_s * burst_s
        self._tokens = self._capacity
        self._filled_at = now_s
        self._over_since: float | None = None

    def spend(self, amount: int, now_s: float) -> None:
        """Count what has arrived."""
        if self._per_s:
            self._fill(now_s)
            self._tokens -= amount

    def wait_s(self, now_s: float) -> float:
        """Seconds to wait before more is read."""
        if not self._per_s:
            return 0.0
        self._fill(now_s)
        if self._tokens >= 0:
            return 0.0
        self._over_since = now_s if self._over_since is None else self._over_since
        return -self._tokens / self._per_s

    def over_for_s(self, now_s: float) -> float:
        """For how many seconds the sender has been over the rate without a pause."""
        self._fill(now_s)
        return 0.0 if self._over_since is None else now_s - self._over_since

    def _fill(self, now_s: float) -> None:
        self._tokens = min(self._capacity, self._tokens + (now_s - self._filled_at) * self._per_s)
        self._filled_at = now_s
        if self._tokens >= self._per_s:  # a second's worth was left unused: that is a pause
            self._over_since = None
