"""What a waiting request tells its client: its position, why it waits, what would help, and when it will probably start."""

from collections.abc import Sequence
from dataclasses import dataclass, field

from sqlalchemy import Connection

from app.db import jobs, pauses
from app.db.jobs import Job
from app.domain import eta, waiting
from app.domain.eta import Durations, Eta
from app.domain.fair_queueing import UNIT
from app.domain.operations import queue_key
from app.domain.policy import ANY_MODEL
from app.domain.waiting import Capacity, Reason, ReasonCode
from app.services.fleet_summaries import FleetSummaries, FleetSummary
from app.services.ports import Ports

COUNTED_AHEAD = 1_000
HAND_OFF_MS = 100  # how long it may take until a free slot is used


@dataclass(frozen=True, slots=True)
class QueueInfo:
    """Why a request waits. `position` 1 is next, counted up to 1,001; None while it is held back.

    If no extension takes it until `waits_until` (ms), it fails. `eta` is from `now` (ms).
    """

    position: int | None
    reason: str
    reason_code: ReasonCode
    remedy: str | None
    eligible_extensions: int
    busy_slots: int
    total_slots: int
    eta: Eta | None
    waits_until: int
    now: int = field(compare=False)


class Waiting:
    def __init__(self, ports: Ports, summaries: FleetSummaries) -> None:
        self.ports = ports
        self.summaries = summaries

    def of(self, some: Sequence[Job]) -> dict[str, QueueInfo]:
        """About these requests, which wait, by their ids."""
        if not some:
            return {}
        summary = self.summaries.current()
        return self.ports.database.read(lambda c: self._of(c, some, summary))

    def of_one(
        self, connection: Connection, job: Job, summary: FleetSummary, *, batch_paused: bool = False
    ) -> QueueInfo:
        """About one request; `summary` is the current one."""
        now = summary.now()
        able = waiting.capable(summary.groups, job.queue_key)
        wanted = (ANY_MODEL if job.any_model and not able else job.model) + job.operation
        capacity = Capacity.of(summary.groups, wanted, summary.waited_for)
        if job.held_since is not None:
            ahead, estimate = None, None
            reason = waiting.why_held(
                pause=summary.pauses.user(job.user_id),
                in_batch=job.batch_id is not None,
                batch_paused=batch_paused,
                follows=job.follows,
            )
        else:
            ahead, virtual_time = jobs.ahead_of(connection, job, COUNTED_AHEAD)
            reason = waiting.why(summary.groups, wanted, ahead, summary.pauses, now, queue=job.model)
            rounds = max(0, job.virtual_start - virtual_time) / UNIT
            known = self.summaries.durations(connection, job.queue_key)
            estimate = self._estimate(reason, capacity, ahead, rounds, known, now)
        return QueueInfo(
            position=None if ahead is None else ahead + 1,
            reason=reason.sentence,
            reason_code=reason.code,
            remedy=reason.remedy,
            eligible_extensions=capacity.extensions,
            busy_slots=capacity.busy,
            total_slots=capacity.slots,
            eta=estimate,
            now=now,
            waits_until=self._waits_until(job, summary, now, served=bool(waiting.capable(summary.groups, wanted))),
        )

    def _of(self, connection: Connection, some: Sequence[Job], summary: FleetSummary) -> dict[str, QueueInfo]:
        batches = {job.batch_id for job in some if job.held_since is not None and job.batch_id is not None}
        paused = pauses.paused_batches(connection, batches)
        return {job.id: self.of_one(connection, job, summary, batch_paused=job.batch_id in paused) for job in some}

    def _estimate(
        self, reason: Reason, capacity: Capacity, ahead: int, rounds: float, known: Durations | None, now: int
    ) -> Eta | None:
        """When it starts; None if that cannot be known."""
        if reason.ends_at is not None and reason.code is ReasonCode.COOLING_DOWN:
            capacity = Capacity(1, 1, 0, 1.0)
        begins_in = 0 if reason.ends_at is None else max(0, reason.ends_at - now)
        if not capacity.slots or ahead >= COUNTED_AHEAD or (reason.is_pause and reason.ends_at is None):
            return None
        if ahead < capacity.free:
            found = Eta(0, HAND_OFF_MS)
        elif known is None:
            return None
        else:
            shared = ahead * capacity.slots / capacity.share
            found = eta.estimate(shared, rounds, capacity.slots, capacity.free, known)
        return found.later(begins_in)

    def _waits_until(self, job: Job, summary: FleetSummary, now: int, *, served: bool) -> int:
        """When `housekeeping` fails the job if it still waits then, in ms; if its queue were resumed now."""
        if job.deadline_at is not None:
            return job.deadline_at
        settings = self.ports.settings
        since = summary.pauses.stood_still_since(job.model) if job.held_since is None else job.held_since
        stood_still_ms = 0 if since is None else max(0, now - max(since, job.queued_at))
        longest = job.queued_at + stood_still_ms + settings.queue_timeout_ms
        if served or job.held_since is not None:
            return longest
        wanted = queue_key(ANY_MODEL if job.any_model else job.model, job.operation)
        served_at = summary.served_at.get(wanted, job.queued_at)
        if since is not None:
            served_at = now
        return min(longest, max(job.queued_at + stood_still_ms, served_at) + settings.no_extension_timeout_ms)
