"""Refusing early what could not be done in time: a line that is too long, a disk that is nearly full."""

from __future__ import annotations

import time
from dataclasses import dataclass

from app.db import jobs
from app.domain.errors import Unavailable
from app.domain.images import PictureError
from app.services.tools import Tools

LOOK_EVERY_S = 1.0
# Looking whether the line is too long takes longer the longer it is: it is to take a hundredth of the time, and no more.
TIMES_AS_LONG = 100
SELDOM = 10  # but it is put off to so many times LOOK_EVERY_S at most, whatever held it up


@dataclass(frozen=True, slots=True)
class Closed:
    """Why nothing new is taken, and when to come back, in seconds."""

    reason: str
    retry_after_s: int


class Admission:
    """Decides whether new requests are taken. It looks once a second at most, and less often where that takes long."""

    def __init__(self, tools: Tools, look_every_s: float = LOOK_EVERY_S) -> None:
        self.tools = tools
        self._look_every_s = look_every_s
        self._look_at = float("-inf")
        self._closed: Closed | None = None

    def check(self) -> None:
        """Raises Unavailable, with the time to come back, while the service is beyond its bounds."""
        begun = time.monotonic()
        if begun >= self._look_at:
            self._look_at = begun + self._look_every_s  # whoever comes meanwhile need not look
            self._closed = self._disk() or self._line()
            took = time.monotonic() - begun
            self._look_at = max(self._look_at, begun + min(TIMES_AS_LONG * took, SELDOM * self._look_every_s))
        if self._closed is not None:
            raise Unavailable(self._closed.reason, retry_after_s=self._closed.retry_after_s)

    def _disk(self) -> Closed | None:
        try:
            free = self.tools.store.free_bytes()
        except PictureError as error:
            return Closed(str(error), 60)
        if free < self.tools.settings.min_free_disk_bytes:
            return Closed("The disk for pictures is nearly full; nothing new is taken until it has room.", 60)
        return None

    def _line(self) -> Closed | None:
        most = self.tools.settings.max_waiting
        if self.tools.database.read(lambda c: jobs.more_wait_than(c, most - 1)):
            return Closed(f"{most} requests wait already; try again later.", 30)
        return None
