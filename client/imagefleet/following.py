"""Following one request from answer to answer."""

from __future__ import annotations

import dataclasses
import time
from collections.abc import Callable

from imagefleet.answers import ImageStatus

LONG_POLL_S = 30
PACE_S = 1.0


class Follower:
    """Tells each new state once, and paces a server that answers at once instead of holding its answer."""

    def __init__(self, tell: Callable[[ImageStatus], None]) -> None:
        self._tell = tell
        self._last: ImageStatus | None = None
        self._asked_at = 0.0
        self._held = True

    @property
    def version(self) -> int | None:
        """What the next answer should be newer than."""
        return None if self._last is None else self._last.version

    def ask(self, left_s: float) -> int:
        """Seconds that the server may hold its next answer; pauses before where the last one came too soon."""
        if not self._held:
            time.sleep(min(left_s, max(0.0, self._asked_at + PACE_S - time.monotonic())))
        self._asked_at = time.monotonic()
        return 0 if self._last is None else int(min(LONG_POLL_S, left_s))

    def take(self, status: ImageStatus) -> bool:
        """Look at an answer. True where it is the last."""
        news = dataclasses.replace(status, timestamp=None)
        changed = news != self._last
        self._held = changed and status.version is not None
        self._last = news
        if changed:
            self._tell(status)
        return status.is_final
