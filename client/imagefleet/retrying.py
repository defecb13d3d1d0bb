"""How long to retry after faults, and how long to pause between attempts."""

from __future__ import annotations

import random
import time
from collections.abc import Iterator

from imagefleet.errors import ImagefleetError


def pauses(first_s: float = 0.2, max_s: float = 10.0) -> Iterator[float]:
    """Seconds to pause, doubling up to `max_s`, each shortened at random by up to a half."""
    pause_s = first_s
    while True:
        yield random.uniform(pause_s / 2, pause_s)
        pause_s = min(pause_s * 2, max_s)


class Retries:
    """Allows retries until `timeout_s` is over; without a timeout, until nothing succeeded for `faults_s` seconds."""

    def __init__(self, faults_s: float, timeout_s: float | None = None, *, idempotent: bool = True) -> None:
        self._deadline = None if timeout_s is None else time.monotonic() + timeout_s
        self._faults_s = faults_s
        self._idempotent = idempotent
        self.reset()

    def left_s(self) -> float:
        """Seconds until the timeout; never below 0."""
        return float("inf") if self._deadline is None else max(0.0, self._deadline - time.monotonic())

    def reset(self) -> None:
        """An attempt succeeded: `faults_s` counts from the next fault on."""
        self._pauses = pauses()
        self._give_up_at: float | None = None

    def wait_or_raise(self, error: ImagefleetError) -> None:
        """Pause after a fault. Raises it if a retry cannot help, could do harm, or would come too late."""
        if not error.is_transient(idempotent=self._idempotent):
            raise error
        left_s = self._fault_left_s()
        requested_s = error.retry_after_s or 0.0
        if left_s <= 0 or requested_s > left_s:
            raise error
        time.sleep(min(max(next(self._pauses), requested_s), left_s))

    def _fault_left_s(self) -> float:
        if self._give_up_at is None:
            self._give_up_at = self._deadline or time.monotonic() + self._faults_s
        return self._give_up_at - time.monotonic()
