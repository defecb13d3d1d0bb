"""How long to retry after faults, and how long to pause between attempts."""

from __future__ import annotations

import random
import time
from collections.abc import Callable, Iterator

from imagefleet.errors import ImagefleetError


def pauses(first_s: float = 0.2, max_s: float = 10.0) -> Iterator[float]:
    """Seconds to pause, doubling up to `max_s`, each shortened at random by up to a half."""
    pause_s = first_s
    while True:
        yield random.uniform(pause_s / 2, pause_s)
        pause_s = min(pause_s * 2, max_s)


OnRetry = Callable[[ImagefleetError, float], object]


class Retries:
    """Allows retries until `timeout_s` is over; without a timeout, for `faults_s` seconds after the first fault in a row.

    A server that says when to come back (`Retry-After`) is no fault: it is waited for up to `refused_s` seconds, by
    default as long as for faults. `on_retry` is called before each pause with the error and the seconds that follow.
    """

    def __init__(
        self,
        faults_s: float,
        timeout_s: float | None = None,
        *,
        idempotent: bool = True,
        refused_s: float | None = None,
        on_retry: OnRetry | None = None,
    ) -> None:
        self._deadline = None if timeout_s is None else time.monotonic() + timeout_s
        self._faults_s = faults_s
        self._refused_s = faults_s if refused_s is None else refused_s
        self._idempotent = idempotent
        self._on_retry = on_retry or (lambda _error, _pause_s: None)
        self.reset()

    def left_s(self) -> float:
        """Seconds until the timeout; never below 0."""
        return float("inf") if self._deadline is None else max(0.0, self._deadline - time.monotonic())

    def reset(self) -> None:
        """An attempt succeeded: what is waited for counts from the next fault or refusal on."""
        self._pauses = pauses()
        self._faulty_since: float | None = None
        self._refused_since: float | None = None

    def pause_s(self, error: ImagefleetError, *, tell: bool = True) -> float:
        """Seconds to pause after a fault. Raises it if a retry cannot help, could do harm, or would come too late.

        Without `tell`, `on_retry` is not called: what is expected to end now and then is no news.
        """
        if not error.is_transient(idempotent=self._idempotent):
            raise error
        left_s = self._refusal_left_s() if error.says_when else self._fault_left_s()
        requested_s = error.retry_after_s or 0.0
        if left_s <= 0 or requested_s > left_s:
            raise error
        pause_s = min(max(next(self._pauses), requested_s), left_s)
        if tell:
            self._on_retry(error, pause_s)
        return pause_s

    def _fault_left_s(self) -> float:
        now = time.monotonic()
        self._faulty_since = self._faulty_since or now
        return (self._deadline or self._faulty_since + self._faults_s) - now

    def _refusal_left_s(self) -> float:
        """An answer ends what was faulty before."""
        now = time.monotonic()
        self._faulty_since = None
        self._refused_since = self._refused_since or now
        return (self._deadline or self._refused_since + self._refused_s) - now
