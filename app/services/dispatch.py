"""The hand-off: waiting jobs to free extensions, each by one compare-and-set, each over the hub that holds the socket."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from functools import partial

from sqlalchemy import Connection

from app.db import fleet, jobs, queue, slots
from app.db.compare_and_set import NOW, FromNow
from app.db.engine import Transaction
from app.db.jobs import Job
from app.db.queue import Waiting
from app.domain import messages, policy
from app.domain.clock import wire_time
from app.domain.errors import NO_EXTENSION
from app.domain.events import ImageGenerationAssignedEvent
from app.domain.policy import Candidate
from app.domain.states import Step
from app.domain.tokens import UploadGrant
from app.services import steps
from app.services.ports import Ports
from app.services.requeueing import Requeueing
from app.services.upload_key import UploadKey

BATCH = 100
NEAR = 32  # of the free that are looked at for a new request; where none of these can do it, a worker looks at all
AHEAD = 10  # of the line that are looked at before anybody knows who is free
BUSY_S = 10.0  # then whatever else waits for this worker has its turn
AT_ONCE = 10  # jobs in one transaction: others who write wait for so long
UNREACHABLE_MS = 1_000  # a hub that does not listen is back within that, or its extensions are not


Match = tuple[Waiting, Candidate]


@dataclass(frozen=True, slots=True)
class Seen:
    """Some free extensions, and who waits for one of them, first come first; `everything` where there are no more of either."""

    free: Sequence[Candidate] = ()
    waiting: Sequence[Waiting] = ()
    everything: bool = True


class Dispatch:
    """Gives waiting jobs to free extensions."""

    def __init__(self, ports: Ports, requeueing: Requeueing) -> None:
        self.ports = ports
        self.requeueing = requeueing
        self._upload_key = UploadKey(ports)

    def assign_waiting(self) -> int:
        """Assign until nobody waits or nobody is free; returns how many jobs were given out.

        Where requests come as fast as they are given out, it ends all the same, and has itself be woken again.
        """
        total = passed_over = 0
        ends = time.monotonic() + BUSY_S
        while True:
            seen = self.ports.database.read(partial(_look, passed_over))
            heard = self._assign(_matched(seen))
            total += len(heard)
            if not seen.free or (seen.everything and len(heard) == len(seen.waiting) and all(heard)):
                return total  # whoever comes now, to wait or to work, brings a wake along
            if time.monotonic() >= ends:
                self.ports.tasks.assign()
                return total
            # where none of these can do what waits, those behind them perhaps can
            passed_over = 0 if heard else passed_over + BATCH

    def look_soon(self, tx: Transaction) -> Callable[[], Seen]:
        """Some free extensions and the first in the line, asked along with what is asked next; returns how to get them. Nobody,
        where no extension has its socket in this process."""
        if self.ports.bus.here is None:
            return Seen
        free, ahead = slots.free_soon(tx.connection, NEAR), queue.first_soon(tx.connection, AHEAD)
        return lambda: Seen(free(), ahead())

    def assign_new(self, tx: Transaction, job: Job, seen: Seen) -> bool:
        """Give out the job that this transaction enters, where it is its turn and its extension has its socket in this process;
        False where a worker has to see to it. `seen` is from before it was entered.

        Nobody is waited for: neither whoever gives something to the same extension, nor Redis.
        """
        new = Waiting(job.id, job.model, job.attempt, job.avoid, job.place)
        first = queue.in_order([*seen.waiting, new])[:AHEAD]
        matches = _matched(Seen(seen.free, first))
        its = [match for match in matches if match[0] is new and match[1].hub_id == self.ports.bus.here]
        return bool(its) and self._assign_some(its, [], tx, new=True)

    def not_delivered(self, request_id: str, lease: str) -> None:
        """The offer reached nobody: back to the line at once, and nobody is to blame."""

        def work(tx: Transaction) -> None:
            job = jobs.find_to_change(tx, request_id)
            if job is not None and job.lease == lease and not job.handed_over:
                reason = "The extension could not be reached."
                if self.requeueing.give_back(tx, job, NO_EXTENSION, reason, strike=False) is not None:
                    fleet.rest(tx, job.connection_id, UNREACHABLE_MS, reason)

        self.ports.database.write(work)

    def _assign(self, matches: Sequence[Match]) -> list[bool]:
        """Of each job that was given out, whether its offer was heard."""
        heard: list[bool] = []
        for begin in range(0, len(matches), AT_ONCE):
            self.ports.database.write(partial(self._assign_some, matches[begin : begin + AT_ONCE], heard))
        return heard

    def _assign_some(self, matches: Sequence[Match], heard: list[bool], tx: Transaction, *, new: bool = False) -> bool:
        """Give these out by one commit; False where none could be. Their offers leave right after it, before those who watch are
        told."""
        given: list[tuple[Job, str]] = []
        key = self._upload_key.value(tx)
        tx.after_commit(lambda: heard.extend(self._hand_over(job, key, hub_id) for job, hub_id in given))
        for waiting, chosen in matches:
            if (job := self._assign_one(waiting, chosen, tx, new=new)) is not None:
                given.append((job, chosen.hub_id))
        return bool(given)

    def _assign_one(self, waiting: Waiting, chosen: Candidate, tx: Transaction, *, new: bool) -> Job | None:
        if not slots.take(tx, chosen, patient=not new):
            return None
        settings = self.ports.settings
        attempt = waiting.attempt + 1
        taken = steps.take(
            self.ports,
            tx,
            Step.ASSIGN,
            waiting.id,
            {"attempt": waiting.attempt},
            event=ImageGenerationAssignedEvent(chosen.extension_id, attempt),
            holder=chosen.extension_id,
            connection_id=chosen.connection_id,
            lease=self.ports.randomness.token(),
            lease_until=FromNow(settings.offer_timeout_ms),
            attempt=attempt,
            attempt_until=FromNow(settings.request_max_ms),
            handed_over=False,
            started_at=NOW,
            watched=not new,  # nobody knows its id yet
        )
        if taken is None:
            slots.recount(tx, chosen.extension_id)  # somebody else was faster: its slot is free again
        return taken

    def _hand_over(self, job: Job, key: bytes, hub_id: str) -> bool:
        heard = self.ports.bus.offer(
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
        settings = self.ports.settings
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
    looked = queue.first_soon(connection, AHEAD)
    free, ahead = slots.free(connection, BATCH, passed_over), looked()
    if not (free and ahead):
        return Seen()
    most = min(BATCH, sum(candidate.slots for candidate in free))
    models = _models(free)
    waiting = [each for each in ahead if models is None or each.model in models][:most]
    if len(waiting) < most and len(ahead) == AHEAD:  # more of them may stand behind these
        waiting = queue.first(connection, most) if models is None else queue.first_of(connection, sorted(models), most)
    # Where all of these are given out, either nobody waits any more for those who are free, or nobody is free any more.
    return Seen(free, waiting, everything=len(free) < BATCH and len(waiting) < BATCH)


def _matched(seen: Seen) -> list[Match]:
    """Who is to be given to whom. In the order of the extensions, so that two workers do not wait for each other in a ring."""
    free, matches = list(seen.free), []
    for waiting in seen.waiting:
        chosen = policy.choose(free, waiting.model, waiting.avoid)
        if chosen is not None:
            free[free.index(chosen)] = chosen.with_one_more()
            matches.append((waiting, chosen))
    return sorted(matches, key=lambda match: match[1].extension_id)


def _models(free: Iterable[Candidate]) -> frozenset[str] | None:
    """The models that some of them make; None where one of them makes any."""
    served = [policy.served_models(candidate.capabilities) for candidate in free]
    named = [models for models in served if models is not None]
    return frozenset().union(*named) if len(named) == len(served) else None
