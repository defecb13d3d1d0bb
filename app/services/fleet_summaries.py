"""A summary of the fleet and the queue, which each process reads about once a second, not for each request that waits."""

import threading
import time
from collections.abc import Collection, Mapping
from dataclasses import dataclass

from sqlalchemy import Connection

from app.db import clock, durations, fleet, pauses, queue, service_state
from app.domain.eta import Durations
from app.domain.pauses import Pauses
from app.domain.policy import ANY_MODEL, FleetGroup
from app.services.ports import Ports

MAX_AGE_S = 1.0
DURATIONS_AGE = 10  # durations are read again after so many times the age of a summary
# Reading takes longer of a large fleet. The pause between two reads is at least this many times as long as one took.
PAUSE_FACTOR = 20
MODELS = 500  # whose durations are remembered


@dataclass(frozen=True, slots=True)
class FleetSummary:
    """The connected extensions, what is paused, the models that requests wait for (in lower case), and when these were last
    served (ms), as of `read_at` (ms)."""

    groups: list[FleetGroup]
    pauses: Pauses
    waited_for: Collection[str]
    served_at: Mapping[str, int]
    read_at: int
    read_at_s: float  # by the monotonic clock

    def now(self) -> int:
        """The database's time (ms), by the clock of this process since it was read."""
        return self.read_at + round((time.monotonic() - self.read_at_s) * 1000)


class FleetSummaries:
    def __init__(self, ports: Ports, max_age_s: float = MAX_AGE_S) -> None:
        self.ports = ports
        self._max_age_s = max_age_s
        self._lock = threading.Lock()
        self._current: FleetSummary | None = None
        self._read_again_at = float("-inf")
        self._durations: dict[str, tuple[float, Durations | None]] = {}

    def current(self) -> FleetSummary:
        """The summary, at most about a second old. Call it outside of other reads, since it may read itself."""
        known = self._current
        if known is not None and time.monotonic() < self._read_again_at:
            return known
        # while one thread reads, the others use the summary before
        if not self._lock.acquire(blocking=known is None):
            return known or self.current()
        try:
            return self._read()
        finally:
            self._lock.release()

    def durations(self, connection: Connection, model: str) -> Durations | None:
        """How long the last pictures of this model took; None if none was made."""
        now, key = time.monotonic(), model.lower()
        known = self._durations.get(key)
        if known is not None and now < known[0]:
            return known[1]
        measured = durations.measured(connection, key)
        if len(self._durations) >= MODELS:
            self._durations.clear()
        self._durations[key] = (now + DURATIONS_AGE * self._max_age_s, measured)
        return measured

    def forget(self) -> None:
        """Read again when the summary is needed next, because this process has changed something."""
        self._read_again_at = float("-inf")

    def _read(self) -> FleetSummary:
        begun = time.monotonic()
        if self._current is not None and begun < self._read_again_at:
            return self._current
        self._read_again_at = begun + self._max_age_s
        self._current = self.ports.database.read(_summary)
        took_s = time.monotonic() - begun
        self._read_again_at = max(self._read_again_at, begun + min(self._max_age_s * 10, PAUSE_FACTOR * took_s))
        return self._current


def _summary(connection: Connection) -> FleetSummary:
    waited_for = frozenset(queue.models_waited_for(connection))
    return FleetSummary(
        fleet.groups(connection),
        pauses.every(connection),
        waited_for,
        service_state.last_served(connection, [ANY_MODEL, *waited_for]),
        clock.now(connection),
        time.monotonic(),
    )
