"""Timed actions of a simulated extension."""

from __future__ import annotations

import heapq
import itertools
import time
from collections.abc import Callable


class Schedule:
    """Actions to run at a given time, on the thread that calls `do_due`."""

    def __init__(self) -> None:
        self._actions: list[tuple[float, int, Callable[[], None]]] = []
        self._order = itertools.count()

    def after(self, seconds: float, action: Callable[[], None]) -> None:
        """Run `action` after that many seconds."""
        heapq.heappush(self._actions, (time.monotonic() + seconds, next(self._order), action))

    def wait_s(self, most: float) -> float:
        """Seconds until the next action is due, at most `most`."""
        if not self._actions:
            return most
        return min(most, max(0.0, self._actions[0][0] - time.monotonic()))

    def do_due(self) -> None:
        """Run the actions that are due. If one raises, the others stay scheduled."""
        while self._actions and self._actions[0][0] <= time.monotonic():
            heapq.heappop(self._actions)[2]()
