"""What an extension means to do, and when."""

from __future__ import annotations

import heapq
import itertools
import time
from collections.abc import Callable


class Agenda:
    """Things to do at their time, on whatever thread asks for those that are due."""

    def __init__(self) -> None:
        self._things: list[tuple[float, int, Callable[[], None]]] = []
        self._order = itertools.count()

    def after(self, seconds: float, thing: Callable[[], None]) -> None:
        """Have `thing` done in so many seconds."""
        heapq.heappush(self._things, (time.monotonic() + seconds, next(self._order), thing))

    def wait_s(self, most: float) -> float:
        """How long until the next is due, at most `most` seconds."""
        if not self._things:
            return most
        return min(most, max(0.0, self._things[0][0] - time.monotonic()))

    def do_due(self) -> None:
        """Do what is due. What one of them raises ends the turn; the others keep their places."""
        while self._things and self._things[0][0] <= time.monotonic():
            heapq.heappop(self._things)[2]()
