"""Extensions come, live and go; what they hold is kept for them over a short absence."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from functools import partial

from app.db import fleet, leases, slots
from app.db.engine import Transaction
from app.db.fleet import Socket
from app.db.jobs import Job
from app.domain.errors import GENERATION_FAILED
from app.domain.messages import Authenticate, Heartbeat
from app.services.generation import Holder
from app.services.last_seen import LastSeen
from app.services.ports import Ports
from app.services.requeueing import Requeueing
from app.services.wakeups import wake_if_a_job_waits

SETTLED_MS = 5_000  # an extension's script may hear of an offer later than its browser answered the ping behind it
BATCH = 200  # rows a commit: nobody waits long for any of them


@dataclass(frozen=True, slots=True)
class Welcome:
    """What a newly connected extension still holds."""

    held: tuple[str, ...]


class Extensions:
    """Knows the fleet's comings and goings."""

    def __init__(self, ports: Ports, requeueing: Requeueing) -> None:
        self.ports = ports
        self.requeueing = requeueing
        self._last_seen = LastSeen()

    def connected(
        self,
        hello: Authenticate,
        socket: Socket,
        check: Callable[[], object] | None = None,
        token_id: str | None = None,
    ) -> Welcome:
        """The extension is in. It takes up the jobs it lists and still holds; those it has forgotten are given back.

        An extension that lists nothing (the contract's own `authenticate`) keeps what it holds. A socket that it
        had before is told to close. `check` is called once nobody else can change the extension; what it raises undoes all.
        `token_id` is what it came in with. Raises Unauthorized where it is connected with another token.
        """

        def work(tx: Transaction) -> Welcome:
            before = fleet.connect(tx, hello, socket, token_id)
            if check is not None:
                check()
            if before is not None and before.connection_id != socket.connection_id:
                tx.after_commit(lambda: self._replace(before))
            held = self._resume(tx, hello, socket)
            slots.recount(tx, hello.extension_id)
            tx.after_commit(partial(wake_if_a_job_waits, self.ports))
            return Welcome(tuple(held))

        return self.ports.database.write(work)

    def heartbeat(self, holder: Holder, beat: Heartbeat) -> bool:
        """A heartbeat: the extension lives, takes work or not, and works on what it says it works on.

        False where the extension is not connected through this socket any more: the socket is to be closed. Most heartbeats
        say nothing new; of ten thousand extensions a commit each would be hundreds a second, so they cost a question.
        """
        extension_id, connection_id = holder.extension_id, holder.connection_id
        state = self.ports.database.read(lambda c: fleet.state_of(c, extension_id, connection_id))
        if state is None:
            return False
        if state.has_work or state.available != beat.status.available:
            return self._take_news(holder, beat)
        self._last_seen.note(connection_id)
        if beat.status.available and state.any_job_waits:
            self.ports.tasks.assign()
        return True

    def is_connected(self, extension_id: str) -> bool:
        """True if the extension is connected, over any socket."""
        return self.ports.database.read(lambda connection: fleet.socket_of(connection, extension_id)) is not None

    def record_last_seen(self) -> None:
        """Write down when those were heard whose heartbeats said nothing new. What is lost on the way, the next ones say again."""
        noted = self._last_seen.take()
        for begin in range(0, len(noted), BATCH):
            self.ports.database.write(partial(_were_last_seen, noted[begin : begin + BATCH]))

    def disconnected(self, connection_id: str) -> None:
        """The socket is gone: what it held is kept for RECONNECT_GRACE_MS."""
        self._last_seen.forget(connection_id)

        def work(tx: Transaction) -> None:
            if fleet.disconnect(tx, connection_id):
                leases.shorten(tx, [connection_id], tx.now + self.ports.settings.reconnect_grace_ms)

        self.ports.database.write(work)

    def hub_heartbeat(self, hub_id: str) -> bool:
        """This web process is there; False where it was not known, because it is new or had been given up."""
        return self.ports.database.write(lambda tx: fleet.touch_hub(tx, hub_id))

    def hub_stopped(self, hub_id: str) -> None:
        """This web process ends: its sockets are gone, what came over them is kept for a short absence."""

        def work(tx: Transaction) -> None:
            lost = fleet.forget_hub(tx, hub_id)
            leases.shorten(tx, lost, tx.now + self.ports.settings.reconnect_grace_ms)

        self.ports.database.write(work)

    def count(self) -> int:
        """How many extensions are connected, over all web processes."""
        return self.ports.database.read(lambda c: fleet.count_connected(c, self.ports.settings.hub_timeout_ms))

    def _take_news(self, holder: Holder, beat: Heartbeat) -> bool:
        def work(tx: Transaction) -> bool:
            if not fleet.heartbeat(tx, holder.connection_id, beat.status.available):
                return False
            held = [job for job in leases.held_by(tx.connection, holder.extension_id) if job.handed_over]
            self._renew(tx, [job for job in held if _mentions(beat, job, len(held))])
            self._give_back(tx, [job for job in held if _leaves_out(beat, job, tx.now)])
            if beat.status.available:
                tx.after_commit(partial(wake_if_a_job_waits, self.ports))
            return True

        return self.ports.database.write(work)

    def _resume(self, tx: Transaction, hello: Authenticate, socket: Socket) -> list[str]:
        held = leases.held_by(tx.connection, hello.extension_id)
        kept = [job for job in held if _still_works_on(hello, job)]
        self._give_back(tx, [job for job in held if job not in kept])
        return self._renew(tx, kept, connection_id=socket.connection_id)

    def _renew(self, tx: Transaction, held: Iterable[Job], **values: str) -> list[str]:
        until = tx.now + self.ports.settings.request_timeout_ms
        return leases.renew(tx, {job.id: job.lease for job in held}, until, **values)

    def _give_back(self, tx: Transaction, forgotten: Iterable[Job]) -> None:
        for job in forgotten:
            reason = "The extension no longer works on the request."
            # an offer that never reached it is nobody's fault
            self.requeueing.give_back(tx, job, GENERATION_FAILED, reason, strike=job.handed_over)

    def _replace(self, before: Socket) -> None:
        self.ports.bus.publish_to_hub(before.hub_id, {"do": "replace", "connection": before.connection_id})


def _were_last_seen(noted: Sequence[tuple[str, float]], tx: Transaction) -> None:
    """Whole ms alone are taken off the database's clock: who was heard is never shown as heard before it spoke."""
    now_s = time.monotonic()
    fleet.record_last_seen(tx, {connection_id: int((now_s - at_s) * 1000) for connection_id, at_s in noted})


def _still_works_on(hello: Authenticate, job: Job) -> bool:
    """What the extension says, where it says so; else it has what it was known to have in hand."""
    return job.handed_over if hello.active_request_ids is None else job.id in hello.active_request_ids


def _mentions(beat: Heartbeat, job: Job, held: int) -> bool:
    """The extension says that it works on the job: by name, or by a number that covers all it holds."""
    if beat.active_request_ids is not None:
        return job.id in beat.active_request_ids
    return beat.status.active_requests + beat.status.queue_size >= held


def _leaves_out(beat: Heartbeat, job: Job, now_ms: int) -> bool:
    """The extension no longer knows of the job: it does not name it, or it has nothing at all to do."""
    if beat.active_request_ids is not None:
        return job.id not in beat.active_request_ids
    idle = beat.status.active_requests + beat.status.queue_size == 0
    return idle and (job.started_at or 0) <= now_ms - SETTLED_MS
