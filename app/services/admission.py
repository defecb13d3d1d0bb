"""Refusing early what could not be done in time: a line that is too long, a disk that is nearly full."""

from __future__ import annotations

import time
from dataclasses import dataclass

from app.db import jobs
from app.domain.errors import Unavailable
from app.domain.images import PictureError
from app.services.ports import Ports

LOOK_EVERY_S = 1.0
# Looking how long the line is takes longer the longer it is: it is to take a hundredth of the time, and no more.
TIMES_AS_LONG = 100
SELDOM = 10  # but it is put off to so many times LOOK_EVERY_S at most, whatever held it up
FASTEST = 20_000  # requests a second that all processes enter together, by far; so long a line is not full before that


@dataclass(frozen=True, slots=True)
class Closed:
    """Why nothing new is taken, and when to come back, in seconds."""

    reason: str
    retry_after_s: int


class Admission:
    """Decides whether new requests are taken. It looks once a second at most, and at the line less often where that takes long,
    or where it cannot be full yet."""

    def __init__(self, ports: Ports, check_every_s: float = LOOK_EVERY_S) -> None:
        self.ports = ports
        self._look_every_s = check_every_s
        self._look_at = self._line_at = float("-inf")
        self._closed: Closed | None = None
        self._full: Closed | None = None

    def check(self) -> None:
        """Raises Unavailable, with the time to come back, while the service is beyond its bounds."""
        now = time.monotonic()
        if now >= self._look_at:
            self._look_at = now + self._look_every_s  # whoever comes meanwhile need not look
            if now >= self._line_at:
                self._line_at = self._look_at
                self._measure_line(now)
            self._closed = self._disk() or self._full
        if self._closed is not None:
            raise Unavailable(self._closed.reason, retry_after_s=self._closed.retry_after_s)

    def _disk(self) -> Closed | None:
        try:
            free = self.ports.store.free_bytes()
        except PictureError as error:
            return Closed(str(error), 60)
        if free < self.ports.settings.min_free_disk_bytes:
            return Closed("The disk for images is almost full; new requests are refused until there is space.", 60)
        return None

    def _measure_line(self, begun: float) -> None:
        most = self.ports.settings.max_waiting
        waiting = self.ports.database.read(lambda c: jobs.count_waiting(c, most))
        self._full = Closed(f"{most} requests are already waiting; try again later.", 30) if waiting >= most else None
        took_s = time.monotonic() - begun
        pause_s = max((most - waiting) / FASTEST, min(TIMES_AS_LONG * took_s, SELDOM * self._look_every_s))
        self._line_at = max(self._line_at, begun + pause_s)
