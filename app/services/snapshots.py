"""Something that each process reads now and then, not for every request that needs it."""

import threading
import time
from collections.abc import Callable
from typing import Generic, TypeVar

MAX_AGE_S = 1.0
# Reading may take longer than expected. The pause between two reads is at least this many times as long as one took,
PAUSE_FACTOR = 20
# but at most this many times the usual one.
LONGEST_PAUSE = 10

T = TypeVar("T")


class Snapshot(Generic[T]):
    """What `read` returns, at most about `max_age_s` old."""

    def __init__(self, read: Callable[[], T], max_age_s: float) -> None:
        self._read = read
        self._max_age_s = max_age_s
        self._lock = threading.Lock()
        self._known: tuple[T] | None = None
        self._until = float("-inf")

    def get(self) -> T:
        """The current one. While one thread reads, others get the one before."""
        known = self._known
        if known is None:
            with self._lock:
                return self._refreshed()
        if time.monotonic() < self._until or not self._lock.acquire(blocking=False):
            return known[0]
        try:
            return self._refreshed()
        finally:
            self._lock.release()

    def forget(self) -> None:
        """Read again when it is needed next."""
        self._until = float("-inf")

    def _refreshed(self) -> T:
        begun = time.monotonic()
        if self._known is not None and begun < self._until:
            return self._known[0]  # another thread has read meanwhile
        found = self._read()
        took_s = time.monotonic() - begun
        self._known = (found,)
        self._until = begun + max(self._max_age_s, min(PAUSE_FACTOR * took_s, LONGEST_PAUSE * self._max_age_s))
        return found
