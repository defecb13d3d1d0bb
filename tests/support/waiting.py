"""Waiting for a condition with a deadline, in place of sleeping for a while and hoping."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from typing import TypeVar

T = TypeVar("T")

# Between two looks: a tenth of the time waited so far, within these. A look costs the processes that are waited for time.
SHORTEST_PAUSE_S = 0.01
LONGEST_PAUSE_S = 0.1
_never = threading.Event()


def until(condition: Callable[[], T], timeout_s: float = 30.0, what: str = "") -> T:
    """Poll `condition` until its value is truthy, and return that.

    Raises AssertionError that says `what` was waited for once `timeout_s` seconds are over. An exception of the
    condition is the test's failure at once; catch those that mean "not yet" inside it.
    """
    began = time.monotonic()
    while True:
        result = condition()
        if result:
            return result
        waited_s = time.monotonic() - began
        if waited_s >= timeout_s:
            wanted = what or getattr(condition, "__name__", repr(condition))
            raise AssertionError(f"waited {timeout_s:g} s in vain for: {wanted} (last seen: {result!r})")
        _never.wait(min(max(waited_s / 10, SHORTEST_PAUSE_S), LONGEST_PAUSE_S))
