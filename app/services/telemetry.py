"""What is measured by looking at the state of the service, for its operators' monitoring."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from sqlalchemy import Connection

from app.db import clock, fleet, queue, service_state, webhook_state
from app.db.queue import QueueDepth
from app.domain.images import PictureError
from app.domain.policy import FleetGroup
from app.services.housekeeping import SWEEP
from app.services.ports import Ports
from app.services.snapshots import Snapshot

MAX_AGE_S = 5.0


@dataclass(frozen=True, slots=True)
class ServiceState:
    """The state as of `now` (ms).

    `queues` are those that are not empty; `swept_at` (ms) is when the last sweep ended, None before the first; `overdue_ms` is for how
    long the first delivery to a webhook has been overdue; `free_bytes` is the room for pictures, None if it cannot be found out.
    """

    now: int
    queues: Sequence[QueueDepth]
    groups: Sequence[FleetGroup]
    webhooks_pending: int
    overdue_ms: int
    swept_at: int | None
    free_bytes: int | None

    @property
    def extensions(self) -> Mapping[str, int]:
        """How many of the connected extensions are in which state."""
        ready = sum(group.ready for group in self.groups)
        paused = sum(group.paused for group in self.groups)
        accepting = sum(group.accepting for group in self.groups)
        connected = sum(group.connected for group in self.groups)
        return {
            "ready": ready,
            "paused": paused,
            "resting": accepting - paused - ready,
            "unavailable": connected - accepting,
        }

    @property
    def slots(self) -> Mapping[str, int]:
        """How many requests the ready extensions hold, and how many more they could hold."""
        busy = sum(group.busy for group in self.groups)
        return {"busy": busy, "free": max(0, sum(group.slots for group in self.groups) - busy)}


class Telemetry:
    def __init__(self, ports: Ports, max_age_s: float = MAX_AGE_S) -> None:
        self.ports = ports
        self._state = Snapshot(self._read, max_age_s)

    def state(self) -> ServiceState:
        """The state, a few seconds old. Raises Unavailable if the database cannot be read."""
        return self._state.get()

    def _read(self) -> ServiceState:
        return self.ports.database.read(lambda c: _state(c, self._free_bytes()))

    def _free_bytes(self) -> int | None:
        try:
            return self.ports.store.free_bytes()
        except PictureError:
            return None


def _state(connection: Connection, free_bytes: int | None) -> ServiceState:
    return ServiceState(
        now=clock.now(connection),
        queues=queue.depths(connection),
        groups=fleet.groups(connection),
        webhooks_pending=webhook_state.pending(connection),
        overdue_ms=webhook_state.overdue_ms(connection),
        swept_at=service_state.swept_at(connection, SWEEP),
        free_bytes=free_bytes,
    )
