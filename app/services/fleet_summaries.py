"""A summary of the fleet and the queue, which each process reads about once a second, not for each request that waits."""

import time
from collections.abc import Collection, Mapping
from dataclasses import dataclass

from sqlalchemy import Connection

from app.db import clock, durations, fleet, pauses, queue, service_state
from app.domain.eta import Durations
from app.domain.pauses import Pauses
from app.domain.policy import ANY_KEYS, FleetGroup
from app.services.ports import Ports
from app.services.snapshots import MAX_AGE_S, Snapshot

DURATIONS_AGE = 10  # durations are read again after so many times the age of a summary
MODELS = 500  # whose durations are remembered


@dataclass(frozen=True, slots=True)
class FleetSummary:
    """The connected extensions, what is paused, the keys of the queues that are not empty, and when these were last
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
        self._max_age_s = max_age_s
        self._current = Snapshot(lambda: ports.database.read(_summary), max_age_s)
        self._durations: dict[str, tuple[float, Durations | None]] = {}

    def current(self) -> FleetSummary:
        """The summary, at most about a second old. Call it outside of other reads, since it may read itself."""
        return self._current.get()

    def durations(self, connection: Connection, key: str) -> Durations | None:
        """How long the last pictures of the queue with this key took; None if none was made."""
        now = time.monotonic()
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
        self._current.forget()


def _summary(connection: Connection) -> FleetSummary:
    waited_for = frozenset(queue.models_waited_for(connection))
    return FleetSummary(
        fleet.groups(connection),
        pauses.every(connection),
        waited_for,
        service_state.last_served(connection, [*ANY_KEYS, *waited_for]),
        clock.now(connection),
        time.monotonic(),
    )
