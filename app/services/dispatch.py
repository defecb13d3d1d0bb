"""The hand-off: waiting jobs to free extensions, each by one compare-and-set, each over the hub that holds the socket."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import partial

from sqlalchemy import Connection

from app.db import fleet, jobs, slots
from app.db.engine import Transaction
from app.db.jobs import Job
from app.domain import messages, policy
from app.domain.clock import wire_time
from app.domain.errors import NO_EXTENSION
from app.domain.events import ImageGenerationAssignedEvent
from app.domain.policy import Candidate
from app.domain.states import Step
from app.domain.tokens import UploadGrant
from app.services import steps
from app.services.requeueing import Requeueing
from app.services.tools import Tools
from app.services.upload_key import UploadKey

BATCH = 100
UNREACHABLE_MS = 1_000  # a hub that does not listen is back within that, or its extensions are not


@dataclass(frozen=True, slots=True)
class Seen:
    """Some free extensions, best first, and who waits for one of them; `everything` where there are no more of either."""

    free: Sequence[Candidate] = ()
    waiting: Sequence[Job] = ()
    everything: bool = True


class Dispatch:
    """Gives waiting jobs to free extensions."""

    def __init__(self, tools: Tools, requeueing: Requeueing) -> None:
        self.tools = tools
        self.requeueing = requeueing
        self._upload_key = UploadKey(tools)

    def assign_waiting(self) -> int:
        """Assign until nobody waits or nobody is free; returns how many jobs were given out."""
        total = passed_over = 0
        while True:
            seen = self.tools.database.read(partial(_look, passed_over))
            heard = self._assign(seen)
            total += len(heard)
            if not seen.free or (seen.everything and len(heard) == len(seen.waiting) and all(heard)):
                return total  # whoever comes now, to wait or to work, brings a wake along
            # where none of these can do what waits, those behind them perhaps can
            passed_over = 0 if heard else passed_over + BATCH

    def not_delivered(self, request_id: str, lease: str) -> None:
        """The offer reached nobody: back to the line at once, and nobody is to blame."""

        def work(tx: Transaction) -> None:
            job = jobs.find_to_change(tx, request_id)
            if job is not None and job.lease == lease and not job.handed_over:
                reason = "The extension could not be reached."
                if self.requeueing.give_back(tx, job, NO_EXTENSION, reason, strike=False) is not None:
                    fleet.rest(tx, job.connection_id, UNREACHABLE_MS, reason)

        self.tools.database.write(work)

    def _assign(self, seen: Seen) -> list[bool]:
        """Of each job that was given out, whether its offer was heard."""
        free, heard = list(seen.free), []
        for job in seen.waiting:
            chosen = policy.choose(free, job.model, job.avoid)
            if chosen is None:
                continue
            free.remove(chosen)
            given = self.tools.database.write(partial(self._assign_one, job, chosen))
            if given is not None:
                free.append(chosen.with_one_more())
                heard.append(self._hand_over(*given, chosen.hub_id))
        return heard

    def _assign_one(self, job: Job, chosen: Candidate, tx: Transaction) -> tuple[Job, bytes] | None:
        """The job as it was given to the extension, and the key to sign its uploads with."""
        if not slots.take(tx, chosen):
            return None
        settings = self.tools.settings
        attempt = job.attempt + 1
        taken = steps.take(
            self.tools,
            tx,
            Step.ASSIGN,
            job.id,
            {"attempt": job.attempt},
            event=ImageGenerationAssignedEvent(chosen.extension_id, attempt),
            was_held_by=chosen.extension_id,
            holder=chosen.extension_id,
            connection_id=chosen.connection_id,
            lease=self.tools.chance.token(),
            lease_until=tx.now + settings.offer_timeout_ms,
            attempt=attempt,
            attempt_until=tx.now + settings.request_max_ms,
            handed_over=False,
            started_at=tx.now,
        )
        return None if taken is None else (taken, self._upload_key.value(tx))

    def _hand_over(self, job: Job, key: bytes, hub_id: str) -> bool:
        heard = self.tools.bus.to_hub(
            hub_id,
            {
                "do": "offer",
                "connection": job.connection_id,
                "requestId": job.id,
                "lease": job.lease,
                "message": messages.wire(self._offer(job, key)),
            },
        )
        if not heard and job.lease is not None:
            self.not_delivered(job.id, job.lease)
        return heard

    def _offer(self, job: Job, key: bytes) -> messages.GenerateImage:
        return messages.GenerateImage(
            request_id=job.id,
            prompt=job.prompt,
            model=job.model,
            parameters=job.parameters,
            user_id=job.user_id,
            correlation_id=job.correlation_id,
            timestamp=wire_time(job.updated_at),
            lease=job.lease,
            upload=self._upload(job, key),
        )

    def _upload(self, job: Job, key: bytes) -> dict[str, object]:
        settings = self.tools.settings
        expires_at = job.attempt_until or job.updated_at
        grant = UploadGrant(job.id, job.attempt, expires_at)
        # without a public address, the hub puts the address before it under which the extension reached it
        base = settings.public_url or ""
        return {
            "url": f"{base}/api/uploads/{job.id}?{grant.query(key)}",
            "method": "PUT",
            "headers": {"Content-Type": "application/octet-stream"},
            "maxBytes": settings.max_image_bytes,
            "expiresAt": wire_time(expires_at),
        }


def _look(passed_over: int, connection: Connection) -> Seen:
    """The free extensions after the first `passed_over`, and those who wait for any of them."""
    if not jobs.anyone_waiting(connection):
        return Seen()
    free = slots.free(connection, BATCH, passed_over)
    most = min(BATCH, sum(candidate.slots for candidate in free))
    waiting = jobs.waiting(connection, _models(free), most) if free else []
    return Seen(free, waiting, everything=len(free) < BATCH and len(waiting) < most)


def _models(free: Iterable[Candidate]) -> frozenset[str] | None:
    """The models that some of them make; None where one of them makes any."""
    served = [policy.served_models(candidate.capabilities) for candidate in free]
    named = [models for models in served if models is not None]
    return frozenset().union(*named) if len(named) == len(served) else None
