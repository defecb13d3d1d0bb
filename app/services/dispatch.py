"""The hand-off: waiting jobs go to free extensions, each by one compare-and-set, over the hub that holds the socket."""

import time
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import partial

from sqlalchemy import Connection

from app.db import fleet, job_inputs, jobs, pauses, queue, slots
from app.db.compare_and_set import NOW, FromNow
from app.db.engine import Transaction
from app.db.job_inputs import JobInput
from app.db.jobs import Job
from app.db.queue import QueuedJob
from app.domain import messages, policy, previews
from app.domain.clock import wire_time
from app.domain.errors import NO_EXTENSION
from app.domain.events import ImageGenerationAssignedEvent
from app.domain.fair_queueing import in_order
from app.domain.image_request import DEFAULT_MODEL, for_javascript
from app.domain.input_references import Role
from app.domain.input_urls import InputGrant
from app.domain.operations import Operation, queue_key
from app.domain.pauses import Pauses
from app.domain.policy import ANY_MODEL, Abilities, Candidate
from app.domain.states import Step
from app.domain.upload_urls import UploadGrant
from app.services import steps
from app.services.ports import Ports
from app.services.requeueing import Requeueing
from app.services.signing_keys import upload_key

BATCH = 100  # rows of the queue and of the fleet that are read at a time
FEW = 10  # if fewer jobs wait, they are read without looking for their models first
BUSY_S = 10.0  # after this the task ends, so that other tasks of this worker can run
JOBS_PER_COMMIT = 10  # other writers wait until the commit
UNREACHABLE_MS = 1_000  # how long an extension gets no work after its hub did not receive an offer

Match = tuple[QueuedJob, Candidate]


@dataclass(frozen=True, slots=True)
class Snapshot:
    """Some free extensions, and the waiting jobs that they can take, in queue order.

    `complete` is True if there are no other free extensions and no other such jobs, `unnamed` are the operations for which jobs
    whose clients named no model may be made with another than the default one.
    """

    free: Sequence[Candidate] = ()
    waiting: Sequence[QueuedJob] = ()
    complete: bool = True
    unnamed: frozenset[Operation] = frozenset()


class Dispatch:
    def __init__(self, ports: Ports, requeueing: Requeueing) -> None:
        self.ports = ports
        self.requeueing = requeueing
        self._upload_key = upload_key(ports)

    def assign_waiting(self) -> int:
        """Assign until no job waits or no extension is free; returns how many jobs were assigned.

        It ends after `BUSY_S` at the latest, and then wakes a worker to continue.
        """
        total = passed_over = 0
        ends = time.monotonic() + BUSY_S
        while True:
            snapshot = self.ports.database.read(partial(_snapshot, passed_over, self.ports.settings.reconnect_grace_ms))
            delivered = self._assign(_match(snapshot))
            total += len(delivered)
            if not snapshot.free or (snapshot.complete and len(delivered) == len(snapshot.waiting) and all(delivered)):
                return total  # a job or an extension that arrives later sends its own wake-up
            if time.monotonic() >= ends:
                self.ports.tasks.assign()
                return total
            # none of these extensions can take a waiting job: try the next ones
            passed_over = 0 if delivered else passed_over + BATCH

    def not_delivered(self, request_id: str, lease: str) -> None:
        """The offer was not delivered: return the job to the queue at once, without a strike."""

        def work(tx: Transaction) -> None:
            job = jobs.find_to_change(tx, request_id)
            if job is not None and job.lease == lease and not job.handed_over:
                reason = "The extension could not be reached."
                if self.requeueing.give_back(tx, job, NO_EXTENSION, reason, strike=False) is not None:
                    fleet.pause(tx, job.connection_id, UNREACHABLE_MS, reason)

        self.ports.database.write(work)

    def _assign(self, matches: Sequence[Match]) -> list[bool]:
        """Assign the jobs; returns for each assigned one whether a hub received its offer."""
        delivered: list[bool] = []
        for begin in range(0, len(matches), JOBS_PER_COMMIT):
            self.ports.database.write(partial(self._assign_some, matches[begin : begin + JOBS_PER_COMMIT], delivered))
        return delivered

    def _assign_some(self, matches: Sequence[Match], delivered: list[bool], tx: Transaction) -> None:
        """Assign these in one commit. Their offers are sent right after it, before watchers are notified."""
        assigned: list[tuple[Job, Sequence[JobInput], str]] = []
        key = self._upload_key.value_in(tx)
        tx.after_commit(lambda: delivered.extend(self._send_offer(key, *each) for each in assigned))
        handed_out: list[QueuedJob] = []
        for waiting, chosen in matches:
            if (job := self._assign_one(waiting, chosen, tx)) is not None:
                inputs = job_inputs.of_job(tx.connection, job.id) if job.operation else ()
                assigned.append((job, inputs, chosen.hub_id))
                handed_out.append(waiting)
        queue.advance(tx, handed_out)

    def _assign_one(self, waiting: QueuedJob, chosen: Candidate, tx: Transaction) -> Job | None:
        if not slots.take(tx, chosen):
            return None
        settings = self.ports.settings
        attempt = waiting.attempt + 1
        assigned = steps.take(
            self.ports,
            tx,
            Step.ASSIGN,
            waiting.id,
            {"attempt": waiting.attempt, "held_since": None},
            event=ImageGenerationAssignedEvent(chosen.extension_id, attempt),
            holder=chosen.extension_id,
            connection_id=chosen.connection_id,
            lease=self.ports.randomness.token(),
            lease_until=FromNow(settings.offer_timeout_ms),
            attempt=attempt,
            attempt_until=FromNow(settings.request_max_ms),
            handed_over=False,
            started_at=NOW,
            model=policy.model_for(chosen.capabilities, waiting.model),
        )
        if assigned is None:
            slots.recount(tx, chosen.extension_id)  # another worker took the job: the slot is free again
        return assigned

    def _send_offer(self, key: bytes, job: Job, inputs: Sequence[JobInput], hub_id: str) -> bool:
        delivered = self.ports.bus.publish_to_hub(
            hub_id,
            {
                "do": "offer",
                "connection": job.connection_id,
                "requestId": job.id,
                "lease": job.lease,
                "message": self._offer(job, inputs, key).to_dict(),
            },
        )
        if not delivered and job.lease is not None:
            self.not_delivered(job.id, job.lease)
        return delivered

    def _offer(self, job: Job, inputs: Sequence[JobInput], key: bytes) -> messages.GenerateImage:
        return messages.GenerateImage(
            request_id=job.id,
            prompt=job.prompt,
            model=job.model,
            parameters=for_javascript(job.parameters),
            user_id=job.user_id,
            correlation_id=job.correlation_id,
            timestamp=wire_time(job.updated_at),
            lease=job.lease,
            upload=self._upload(job, key),
            input_images=tuple(self._input(job, each, key) for each in inputs) or None,
            previews=self._previews(job),
        )

    def _previews(self, job: Job) -> int | None:
        settings = self.ports.settings
        if settings.max_message_bytes < previews.MESSAGE_CHARS:  # a preview would end the connection
            return None
        return previews.MOST if settings.previews else job.previews or None

    def _upload(self, job: Job, key: bytes) -> messages.Upload:
        settings = self.ports.settings
        expires_at = job.attempt_until or job.updated_at
        grant = UploadGrant(job.id, job.attempt, expires_at)
        # without PUBLIC_URL, the hub prepends the address under which the extension connected
        base = settings.public_url or ""
        return messages.Upload(
            url=f"{base}/api/uploads/{job.id}?{grant.query(key)}",
            method="PUT",
            headers={"Content-Type": "application/octet-stream"},
            max_bytes=settings.max_image_bytes,
            expires_at=wire_time(expires_at),
        )

    def _input(self, job: Job, picture: JobInput, key: bytes) -> messages.InputImage:
        grant = InputGrant(job.id, job.attempt, picture.position, job.attempt_until or job.updated_at)
        return messages.InputImage(
            url=(self.ports.settings.public_url or "") + grant.path(key),  # as that of uploads
            sha256=picture.sha256,
            role="mask" if picture.role == Role.MASK else "image",
            strength=picture.strength,
        )


def _snapshot(passed_over: int, grace_ms: int, connection: Connection) -> Snapshot:
    """The free extensions after the first `passed_over`, and the jobs that wait for any of them and are not paused."""
    some, free = queue.some(connection, FEW), slots.free(connection, BATCH, passed_over)
    if not (free and some):
        return Snapshot()
    paused = pauses.every(connection)
    if paused.everything:
        return Snapshot()
    limit = min(BATCH, sum(candidate.free_slots for candidate in free))
    able = Abilities.of(candidate.capabilities for candidate in free)
    unnamed = frozenset() if paused.model(DEFAULT_MODEL) else _unserved_defaults(connection, able, grace_ms)
    if len(some) < FEW:
        possible = [
            each for each in some if able.include(each.queue_key) or (each.any_model and each.operation in unnamed)
        ]
        waiting = in_order((each for each in possible if not paused.model(each.model)), limit)
    else:
        waiting = _first_of_many(connection, able, paused, limit, unnamed)
    return Snapshot(free, waiting, len(free) < BATCH and len(waiting) < BATCH, unnamed)


def _first_of_many(
    connection: Connection, able: Abilities, paused: Pauses, limit: int, operations: Iterable[Operation]
) -> list[QueuedJob]:
    wanted = [key for key in queue.models_waited_for(connection) if able.include(key) and not paused.model(key)]
    unnamed = [job for operation in operations for job in queue.first_unnamed(connection, operation, limit)]
    return in_order([*queue.first_of(connection, wanted, limit), *unnamed], limit)


def _unserved_defaults(connection: Connection, able: Abilities, grace_ms: int) -> frozenset[Operation]:
    """The operations for which a job that names no model waits, while no extension that does it with the default model is
    connected or just was; of those that the free extensions do with other models."""
    keys = {operation: DEFAULT_MODEL + operation for operation in able.models}
    waited_for = [
        operation
        for operation, key in keys.items()
        if not able.include(key) and queue.first_unnamed(connection, operation, 1)
    ]
    if not waited_for:
        return frozenset()
    recent = Abilities.of(fleet.capabilities_since(connection, grace_ms))
    return frozenset(operation for operation in waited_for if not recent.include(keys[operation]))


def _match(snapshot: Snapshot) -> list[Match]:
    """Pairs of job and extension, ordered by extension: workers that lock rows in the same order cannot deadlock."""
    free, matches = list(snapshot.free), []
    for waiting in snapshot.waiting:
        any_model = waiting.any_model and waiting.operation in snapshot.unnamed
        key = queue_key(ANY_MODEL if any_model else waiting.model, waiting.operation)
        chosen = policy.choose(free, key, waiting.avoid)
        if chosen is not None:
            free[free.index(chosen)] = chosen.with_one_more_job()
            matches.append((waiting, chosen))
    return sorted(matches, key=lambda match: match[1].extension_id)
