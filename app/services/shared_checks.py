"""Checks that anybody may ask for at any time: bounded in time, and not repeated for each caller."""

import threading
import time
from collections.abc import Callable, Mapping
from queue import Empty, SimpleQueue
from typing import Generic, TypeVar

T = TypeVar("T")
Key = TypeVar("Key")


class SharedCheck(Generic[T]):
    """The result of `check`, which runs at most once in `every_s` seconds. Callers that arrive while it runs wait for its result."""

    def __init__(self, check: Callable[[], T], every_s: float) -> None:
        self._check = check
        self._every_s = every_s
        self._lock = threading.Lock()
        self._known: tuple[T] | None = None
        self._checked_at = float("-inf")

    def result(self) -> T:
        """The last result, or a new one if that is too old."""
        with self._lock:
            if self._known is None or time.monotonic() - self._checked_at >= self._every_s:
                self._known = (self._check(),)
                self._checked_at = time.monotonic()
            return self._known[0]


def run_together(calls: Mapping[Key, Callable[[], T]], within_s: float) -> dict[Key, T | Exception]:
    """Call all of them at the same time; what each returned or raised, TimeoutError for those that took longer than `within_s`.

    What hangs is left behind on a thread of its own, which its own time limits end; it does not keep the process from ending.
    """
    answers: SimpleQueue[tuple[Key, T | Exception]] = SimpleQueue()

    def run(key: Key, call: Callable[[], T]) -> None:
        try:
            answers.put((key, call()))
        except Exception as problem:  # noqa: BLE001 - the caller gets it
            answers.put((key, problem))

    for key, call in calls.items():
        threading.Thread(target=run, args=(key, call), name=f"check-{key}", daemon=True).start()
    ends = time.monotonic() + within_s
    found: dict[Key, T | Exception] = {}
    while len(found) < len(calls):
        try:
            key, answer = answers.get(timeout=max(0.0, ends - time.monotonic()))
        except Empty:
            break
        found[key] = answer
    return {key: found.get(key, TimeoutError(f"no answer within {within_s:g} s")) for key in calls}
