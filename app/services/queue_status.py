"""The state of the whole queue, for operators and for clients that wait."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

from sqlalchemy import Connection

from app.db import clock, durations, pauses, queue, slots
from app.db.queue import QueueDepth
from app.domain.operations import announced, queue_key
from app.domain.pauses import PauseKind, QueuePause
from app.domain.policy import ANY_MODEL, FleetGroup, served_models
from app.domain.waiting import Capacity
from app.services.fleet_summaries import FleetSummaries
from app.services.ports import Ports
from app.services.snapshots import MAX_AGE_S, Snapshot

THROUGHPUT_MS = 300_000


@dataclass(frozen=True, slots=True)
class PauseState:
    """A pause; `drained` if an extension is to be taken away and holds nothing any more."""

    pause: QueuePause
    drained: bool = False


@dataclass(frozen=True, slots=True)
class QueueOverview:
    """The queues that are not empty, what is paused, the slots of the extensions in all and by model, and how many requests
    were completed in the last `THROUGHPUT_MS`, by the keys of queues; `*` stands for any model. As of `now` (ms)."""

    now: int
    queues: Sequence[QueueDepth]
    paused: Sequence[PauseState]
    capacity: Capacity
    capacity_of: Mapping[str, Capacity]
    completed: Mapping[str, int]

    def visible_to(self, user_id: str | None) -> "QueueOverview":
        """What this user may see, None for an operator: no other user, no extension, and not who paused something."""
        if user_id is None:
            return self
        shown = [
            replace(each, pause=replace(each.pause, paused_by=None))
            for each in self.paused
            if each.pause.target.kind in (PauseKind.ALL, PauseKind.MODEL)
            or (each.pause.target.kind is PauseKind.USER and each.pause.target.name == user_id)
        ]
        return replace(self, paused=shown)


class QueueStatus:
    def __init__(self, ports: Ports, summaries: FleetSummaries, max_age_s: float = MAX_AGE_S) -> None:
        self.ports = ports
        self.summaries = summaries
        self._counted = Snapshot(lambda: ports.database.read(_counted), max_age_s)

    def overview(self, user_id: str | None = None) -> QueueOverview:
        """The state of the queue as a user may see it; None is an operator. Counts are about a second old."""
        now, queues, completed = self._counted.get()
        groups = self.summaries.current().groups
        keys = {*(each.key for each in queues), *completed, *_served(groups)}
        overview = QueueOverview(
            now=now,
            queues=queues,
            paused=self.ports.database.read(_paused),
            capacity=Capacity.of(groups),
            capacity_of={key: Capacity.of(groups, key) for key in sorted(keys)},
            completed=completed,
        )
        return overview.visible_to(user_id)


def _counted(connection: Connection) -> tuple[int, list[QueueDepth], dict[str, int]]:
    now = clock.now(connection)
    return now, queue.depths(connection), durations.completed_since(connection, now - THROUGHPUT_MS)


def _paused(connection: Connection) -> list[PauseState]:
    found = list(pauses.every(connection))
    held = slots.held_by(connection, [pause.target.name for pause in found if pause.drain])
    return [PauseState(pause, pause.drain and not held.get(pause.target.name)) for pause in found]


def _served(groups: Sequence[FleetGroup]) -> set[str]:
    """The keys of the queues that extensions serve; with `*` for the model if some make any."""
    return {
        queue_key(model, operation)
        for group in groups
        for model in served_models(group.capabilities) or {ANY_MODEL}
        for operation in announced(group.capabilities)
    }
