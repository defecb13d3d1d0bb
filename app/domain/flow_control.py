"""Flow control: how fast one peer may send. A peer that is too fast is slowed down, not disconnected."""


class Flow:
    """A token bucket that may go into debt. The caller passes the time; `per_s` 0 means no limit.

    Data counts as soon as it arrives; `wait_s` is how long to wait before reading more.
    """

    def __init__(self, per_s: int, burst_s: float, now_s: float) -> None:
        self._per_s = per_s
        self._capacity = per_s * burst_s
        self._tokens = self._capacity
        self._filled_at = now_s
        self._over_since: float | None = None

    def spend(self, amount: int, now_s: float) -> None:
        if self._per_s:
            self._fill(now_s)
            self._tokens -= amount

    def wait_s(self, now_s: float) -> float:
        """Seconds to wait before reading more."""
        if not self._per_s:
            return 0.0
        self._fill(now_s)
        if self._tokens >= 0:
            return 0.0
        self._over_since = now_s if self._over_since is None else self._over_since
        return -self._tokens / self._per_s

    def over_for_s(self, now_s: float) -> float:
        """How many seconds the sender has exceeded the rate without a pause."""
        self._fill(now_s)
        return 0.0 if self._over_since is None else now_s - self._over_since

    def _fill(self, now_s: float) -> None:
        self._tokens = min(self._capacity, self._tokens + (now_s - self._filled_at) * self._per_s)
        self._filled_at = now_s
        if self._tokens >= self._per_s:  # it left a second's worth unused, so it paused
            self._over_since = None
