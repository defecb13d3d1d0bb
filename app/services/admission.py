"""Backpressure: new requests are refused while the queue is too long, or the disk is nearly full or cannot be written."""

import time

from app.db import jobs
from app.domain.errors import Unavailable
from app.domain.images import PictureError
from app.services.ports import Ports

CHECK_EVERY_S = 1.0
# Counting a long queue takes longer. The pause between two counts is this many times as long as a count took,
PAUSE_FACTOR = 100
# but at most this many times CHECK_EVERY_S.
LONGEST_PAUSE = 10
# More requests a second than all processes together can accept: it bounds how soon the queue can be full.
FASTEST_GROWTH = 20_000


Refusal = tuple[str, int]  # why new requests are refused, and after how many seconds a client may try again


class Admission:
    """Decides whether new requests are accepted. It checks at most once a second, and counts the queue less often if that
    is slow or the queue cannot be full yet."""

    def __init__(self, ports: Ports, check_every_s: float = CHECK_EVERY_S) -> None:
        self.ports = ports
        self._check_every_s = check_every_s
        self._check_at = self._count_at = float("-inf")
        self._refusal: Refusal | None = None
        self._queue_full: Refusal | None = None

    def check(self) -> None:
        """Raises Unavailable, with the time after which to retry, while the service is overloaded."""
        now = time.monotonic()
        if now >= self._check_at:
            self._check_at = now + self._check_every_s  # set first: other threads need not check meanwhile
            if now >= self._count_at:
                self._count_at = self._check_at
                self._count_queue(now)
            self._refusal = self._check_disk() or self._queue_full
        if self._refusal is not None:
            reason, retry_after_s = self._refusal
            raise Unavailable(reason, retry_after_s=retry_after_s)

    def _check_disk(self) -> Refusal | None:
        try:
            free = self.ports.store.free_bytes()
            self.ports.store.check()
        except PictureError as error:
            return f"Pictures cannot be stored at the moment, so no requests are accepted. {error}", 60
        if free < self.ports.settings.min_free_disk_bytes:
            return "The disk for images is almost full; new requests are refused until there is space.", 60
        return None

    def _count_queue(self, begun: float) -> None:
        most = self.ports.settings.max_waiting
        waiting = self.ports.database.read(lambda c: jobs.count_waiting(c, most))
        reason = f"{most} requests are already waiting; try again later."
        self._queue_full = (reason, 30) if waiting >= most else None
        took_s = time.monotonic() - begun
        pause_s = min(PAUSE_FACTOR * took_s, LONGEST_PAUSE * self._check_every_s)
        self._count_at = max(self._count_at, begun + max(pause_s, (most - waiting) / FASTEST_GROWTH))
