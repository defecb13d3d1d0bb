"""Connections and heartbeats of extensions. An extension that reconnects soon keeps the jobs it holds."""

import time
from collections.abc import Callable, Iterable, Sequence
from functools import partial

from app import logs
from app.db import fleet, leases, slots
from app.db.engine import Transaction
from app.db.fleet import ExtensionState, Socket
from app.db.jobs import Job
from app.domain.errors import GENERATION_FAILED, NotFound
from app.domain.messages import Authenticate, Heartbeat
from app.service_address import service_address
from app.services.generation import Holder
from app.services.last_seen import LastSeen
from app.services.ports import Ports
from app.services.requeueing import Requeueing
from app.services.wakeups import wake_if_a_job_waits

SETTLED_MS = 5_000  # a browser may answer the ping behind an offer before the extension's script receives the offer
BATCH = 200  # rows per commit, so that other writers do not wait long

log = logs.get(__name__)


class Extensions:
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
    ) -> tuple[str, ...]:
        """Store that the extension is connected; returns the ids of the jobs it still holds.

        It keeps the jobs that it lists; others that it held are given back. One that lists no jobs keeps all it holds.
        Its previous socket is closed. `check` is called while the extension's row is locked; an error that it raises
        undoes everything. `token_id` is the extension's token, if any. Raises Unauthorized if it is already connected with another token.
        """

        def work(tx: Transaction) -> tuple[str, ...]:
            before = fleet.connect(tx, hello, socket, token_id)
            if check is not None:
                check()
            if before is not None and before.connection_id != socket.connection_id:
                replace = {"do": "replace", "connection": before.connection_id}
                tx.after_commit(partial(self.ports.bus.publish_to_hub, before.hub_id, replace))
            held = tuple(self._resume(tx, hello, socket))
            slots.recount(tx, hello.extension_id)
            tx.after_commit(partial(wake_if_a_job_waits, self.ports))
            return held

        return self.ports.database.write(work)

    def heartbeat(self, holder: Holder, beat: Heartbeat) -> ExtensionState | None:
        """Process a heartbeat; returns the state of the extension before it.

        None if the extension is no longer connected through this socket, which must be closed.

        Most heartbeats report no change. They cost one query and no commit: ten thousand extensions would otherwise cause
        hundreds of commits a second.
        """
        extension_id, connection_id = holder.extension_id, holder.connection_id
        state = self.ports.database.read(lambda c: fleet.state_of(c, extension_id, connection_id))
        if state is None:
            return None
        if state.has_work or state.available != beat.status.available:
            return state if self._record_heartbeat(holder, beat) else None
        self._last_seen.note(connection_id)
        if beat.status.available and state.any_job_waits:
            self.ports.tasks.assign()
        return state

    def is_connected(self, extension_id: str) -> bool:
        return self.ports.database.read(lambda connection: fleet.socket_of(connection, extension_id)) is not None

    def record_last_seen(self) -> None:
        """Store the times of heartbeats that reported no change. If some are lost, later heartbeats replace them."""
        noted = self._last_seen.take()
        for begin in range(0, len(noted), BATCH):
            self.ports.database.write(partial(_record, noted[begin : begin + BATCH]))

    def resume(self, extension_id: str) -> bool:
        """End the pause that failures led to, because an operator removed their cause; False if it is not paused.

        Raises NotFound.
        """

        def work(tx: Transaction) -> bool:
            resumed = fleet.end_pause(tx, extension_id)
            if resumed:
                tx.after_commit(partial(wake_if_a_job_waits, self.ports))
                tx.after_commit(lambda: _log_resumed(extension_id))
            elif not fleet.is_known(tx.connection, extension_id):
                raise NotFound(f"No extension {extension_id} has ever connected.")
            return resumed

        return self.ports.database.write(work)

    def disconnected(self, connection_id: str) -> None:
        """The socket is closed: the extension keeps its jobs for RECONNECT_GRACE_MS."""
        self._last_seen.forget(connection_id)

        def work(tx: Transaction) -> None:
            if fleet.disconnect(tx, connection_id):
                leases.shorten(tx, [connection_id], tx.now + self.ports.settings.reconnect_grace_ms)

        self.ports.database.write(work)

    def hub_heartbeat(self, hub_id: str) -> bool:
        """Record that this web process is alive; False if it was unknown, because it is new or had been given up."""
        address = service_address(self.ports.settings)
        return self.ports.database.write(lambda tx: fleet.touch_hub(tx, hub_id, address))

    def hub_stopped(self, hub_id: str) -> None:
        """A web process stopped: its extensions are disconnected and keep their jobs for RECONNECT_GRACE_MS."""

        def work(tx: Transaction) -> None:
            lost = fleet.forget_hub(tx, hub_id)
            leases.shorten(tx, lost, tx.now + self.ports.settings.reconnect_grace_ms)

        self.ports.database.write(work)

    def count(self) -> int:
        """How many extensions are connected, over all web processes."""
        return self.ports.database.read(lambda c: fleet.count_connected(c, self.ports.settings.hub_timeout_ms))

    def _record_heartbeat(self, holder: Holder, beat: Heartbeat) -> bool:
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
            # an offer that never arrived is not the extension's failure
            self.requeueing.give_back(tx, job, GENERATION_FAILED, reason, strike=job.handed_over)


def _log_resumed(extension_id: str) -> None:
    log.info("An operator ended an extension's pause", action="extension.resumed", extension_id=extension_id)


def _record(noted: Sequence[tuple[str, float]], tx: Transaction) -> None:
    # ages are rounded down, so that no time is stored that lies before the heartbeat
    now_s = time.monotonic()
    fleet.record_last_seen(tx, {connection_id: int((now_s - at_s) * 1000) for connection_id, at_s in noted})


def _still_works_on(hello: Authenticate, job: Job) -> bool:
    """As the extension reports; one that reports nothing works on the jobs that it has received."""
    return job.handed_over if hello.active_request_ids is None else job.id in hello.active_request_ids


def _mentions(beat: Heartbeat, job: Job, held: int) -> bool:
    """The extension reports the job by its id, or reports at least as many jobs as it holds."""
    if beat.active_request_ids is not None:
        return job.id in beat.active_request_ids
    return beat.status.active_requests + beat.status.queue_size >= held


def _leaves_out(beat: Heartbeat, job: Job, now_ms: int) -> bool:
    """The extension no longer has the job: it does not list it, or it reports that it is idle."""
    if beat.active_request_ids is not None:
        return job.id not in beat.active_request_ids
    idle = beat.status.active_requests + beat.status.queue_size == 0
    return idle and (job.started_at or 0) <= now_ms - SETTLED_MS
