"""How far a batch is: what screens show of it."""

from __future__ import annotations

import time
from collections import deque
from datetime import UTC, datetime, timedelta

from imagefleet.batching.entries import Entry
from imagefleet.models import Batch

WINDOW_S = 300.0


class Progress:
    """Counts what has happened. `clock` is in seconds."""

    def __init__(self) -> None:
        self.batch: Batch | None = None
        self.saved = 0
        self._ended: deque[tuple[float, int]] = deque()

    def update(self, batch: Batch) -> None:
        """The batch is in this state."""
        now = time.monotonic()
        self.batch = batch
        if not self._ended or self._ended[-1][1] != batch.counts.ended:
            self._ended.append((now, batch.counts.ended))
        while len(self._ended) > 2 and self._ended[1][0] < now - WINDOW_S:
            self._ended.popleft()

    def add(self, entry: Entry) -> None:
        """An item is done with."""
        self.saved += bool(entry.files)

    @property
    def per_minute(self) -> float | None:
        """How many items ended a minute lately; None if that is not known yet."""
        if not self._ended:
            return None
        (since, before), ended = self._ended[0], self._ended[-1][1]
        elapsed_s = time.monotonic() - since
        return (ended - before) * 60 / elapsed_s if ended > before and elapsed_s >= 1.0 else None

    @property
    def ready_at(self) -> datetime | None:
        """When every item will have ended, probably: as the server says, or else at this rate."""
        batch = self.batch
        if batch is None or batch.is_final or batch.status == "paused":
            return None
        if batch.eta is not None:
            return batch.eta.p50
        rate = self.per_minute
        left = batch.counts.total - batch.counts.ended
        return datetime.now(UTC) + timedelta(minutes=left / rate) if rate else None

    def line(self) -> str:
        """All of it in one line."""
        batch = self.batch
        if batch is None:
            return "waiting for the server"
        counts = batch.counts
        parts = [f"{counts.ended:,} of {counts.total:,} ended", f"{self.saved:,} saved"]
        parts += [f"{number:,} {word}" for word, number in self._mishaps() if number]
        return ", ".join(parts) + self.pace()

    def pace(self) -> str:
        """The rate and the end, or why there are none."""
        if self.batch is not None and self.batch.status == "paused":
            return (
                f"; paused{f' by {self.batch.paused_by}' if self.batch.paused_by else ''}, goes on when it is resumed"
            )
        rate, ready = self.per_minute, self.ready_at
        shown = [] if rate is None else [f"{rate:.0f} a minute" if rate >= 10 else f"{rate:.1f} a minute"]
        shown += [] if ready is None else [f"ready at about {_local(ready)}"]
        return "".join(f"; {part}" for part in shown)

    def _mishaps(self) -> list[tuple[str, int]]:
        counts = self.batch.counts if self.batch is not None else None
        return [] if counts is None else [("failed", counts.failed), ("cancelled", counts.cancelled)]


def _local(moment: datetime) -> str:
    """The time of day, with the day if that is another one."""
    local, today = moment.astimezone(), datetime.now().astimezone()
    return f"{local:%H:%M}" if local.date() == today.date() else f"{local:%a %H:%M}"
