"""What a process remembers for a while: results of queries, and names. Bounded, and never the only place of anything."""

import threading
import time
from collections import OrderedDict
from collections.abc import Callable, Hashable
from typing import Any, TypeVar

MOST_NAMES = 10_000
NEVER = float("-inf")

T = TypeVar("T")


class Cache:
    """Recent results, each for `ttl_s`. Bounded: it is cleared when it is full. None is not cached."""

    def __init__(self, ttl_s: float) -> None:
        self._ttl_s = ttl_s
        self._found: dict[Hashable, tuple[float, Any]] = {}
        self._lock = threading.Lock()
        self._loading: dict[Hashable, threading.Lock] = {}
        self._cleared = 0  # how often

    def cached(self, name: Hashable) -> Any:
        at, found = self._found.get(name, (NEVER, None))
        return found if time.monotonic() - at < self._ttl_s else None

    def get(self, name: Hashable, query: Callable[[], T]) -> T:
        """The cached result, or that of `query`. Of several threads that miss at once, one runs the query for all."""
        found: T | None = self.cached(name)
        if found is not None:
            return found
        with self._lock:
            loading = self._loading.setdefault(name, threading.Lock())
        with loading:
            found = self.cached(name)
            return found if found is not None else self.load(name, query)

    def load(self, name: Hashable, query: Callable[[], T]) -> T:
        """The result of `query`, which is then cached."""
        began, cleared = time.monotonic(), self._cleared
        try:
            found = query()
            with self._lock:
                if found is not None and self._cleared == cleared:  # else the result may be out of date already
                    if len(self._found) >= MOST_NAMES:
                        self._found.clear()
                    self._found[name] = (began, found)
            return found
        finally:
            with self._lock:
                self._loading.pop(name, None)

    def clear(self) -> None:
        with self._lock:
            self._cleared += 1
            self._found.clear()


class RecentNames:
    """Names that were added in the last `for_s`. When there are too many, the one that was added first is dropped."""

    def __init__(self, for_s: float) -> None:
        self._for_s = for_s
        self._added_at: OrderedDict[Hashable, float] = OrderedDict()
        self._lock = threading.Lock()

    def __contains__(self, name: Hashable) -> bool:
        return time.monotonic() - self._added_at.get(name, NEVER) < self._for_s

    def add(self, name: Hashable) -> None:
        """Add the name, or renew it."""
        with self._lock:
            self._added_at[name] = time.monotonic()
            self._added_at.move_to_end(name)
            if len(self._added_at) > MOST_NAMES:
                self._added_at.popitem(last=False)

    def discard(self, name: Hashable) -> None:
        with self._lock:
            self._added_at.pop(name, None)
