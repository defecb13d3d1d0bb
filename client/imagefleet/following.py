"""Following the status of one request by long polling."""

from __future__ import annotations

import dataclasses
import time
from collections.abc import Callable

from imagefleet.answers import ImageStatus

LONG_POLL_S = 30
PACE_S = 1.0


class Follower:
    """Reports each new status once, and limits the polling rate if the server does not support long polling."""

    def __init__(self, notify: Callable[[ImageStatus], None]) -> None:
        self._notify = notify
        self._last: ImageStatus | None = None
        self._polled_at = 0.0
        self._held = True

    @property
    def version(self) -> int | None:
        """The version that the next status should be newer than."""
        return None if self._last is None else self._last.version

    def next_wait_s(self, left_s: float) -> int:
        """Seconds that the next poll may wait on the server; pauses first if the previous poll returned too soon."""
        if not self._held:
            time.sleep(min(left_s, max(0.0, self._polled_at + PACE_S - time.monotonic())))
        self._polled_at = time.monotonic()
        return 0 if self._last is None else int(min(LONG_POLL_S, left_s))

    def forget(self) -> None:
        """After a fault: ask for the current status at once, and report it even if it did not change."""
        self._last = None

    def update(self, status: ImageStatus) -> bool:
        """Process a status. True if it is final."""
        current = dataclasses.replace(status, timestamp=None)
        changed = current != self._last
        self._held = changed and status.version is not None
        self._last = current
        if changed:
            self._notify(status)
        return status.is_final
