"""Periodic sweeps: recover from crashes and lost messages, and enforce the time limits.

Every sweep is idempotent, may run in several processes at once, and finds its rows by an index.
"""

from collections.abc import Sequence
from functools import partial

from app import logs
from app.db import clock_steps, fleet, jobs, leases, queue, service_state, webhook_claims, webhook_deliveries
from app.db.engine import Transaction
from app.db.jobs import Job
from app.domain import policy
from app.domain.errors import GENERATION_FAILED, NO_EXTENSION, TIMEOUT
from app.domain.image_request import DEFAULT_MODEL
from app.domain.operations import queue_key, split_key
from app.domain.policy import ANY_MODEL, FleetGroup
from app.services.ageing import Ageing
from app.services.batch_sweep import BatchSweep
from app.services.download import longest_ms as longest_download_ms
from app.services.extension_messages import send_cancel
from app.services.extensions import Extensions
from app.services.ports import Ports
from app.services.queue_controls import QueueControls
from app.services.requeueing import LONGEST_PAUSE_MS, Requeueing
from app.services.reuse import Reuse
from app.services.wakeups import wake_if_a_job_waits
from app.services.webhook_delivery import claim_ms

BATCH = 200
SWEEP = "sweep"
LONGEST_GAP_MS = 15_000  # after a longer gap between sweeps the service itself was down, and leases are extended
LONGEST_GAP_SWEEPS = 4  # the same in sweep intervals; the longer one counts

log = logs.get(__name__)


def longest_gap_ms(sweep_interval_ms: int) -> int:
    """After how long without a sweep they count as interrupted."""
    return max(LONGEST_GAP_MS, LONGEST_GAP_SWEEPS * sweep_interval_ms)


class Housekeeping:
    def __init__(
        self,
        ports: Ports,
        requeueing: Requeueing,
        extensions: Extensions,
        queue_controls: QueueControls,
        batches: BatchSweep,
        reuse: Reuse,
    ) -> None:
        self.ports = ports
        self.requeueing = requeueing
        self.extensions = extensions
        self.queue_controls = queue_controls
        self.batches = batches
        self.reuse = reuse
        self.ageing = Ageing(ports)

    def is_due(self) -> bool:
        """False if a sweep has just run: of several queued ticks only one is needed."""
        half_ms = self.ports.settings.sweep_interval_ms // 2
        return not self.ports.database.read(lambda c: service_state.swept_within(c, SWEEP, half_ms))

    def sweep(self) -> None:
        self.adjust_times()
        self.give_up_lost_hubs()
        self.end_leases()
        self.fail_late()
        self.queue_controls.sweep()
        self.fail_waiting_too_long()
        self.ageing.raise_aged()
        self.batches.sweep()
        self.wake()

    def adjust_times(self) -> None:
        """If no sweep ran for long, the service was down: leases and timeouts are extended by that time.

        If the last sweep lies in the future, the clock was set back: no stamp stays ahead of it.
        """

        def work(tx: Transaction) -> None:
            before = service_state.last_sweep(tx, SWEEP)
            pause_ms = 0 if before is None else tx.now - before
            if pause_ms < 0:
                self._bring_back(tx, -pause_ms)
            elif pause_ms > longest_gap_ms(self.ports.settings.sweep_interval_ms):
                self._make_up_for_pause(tx, pause_ms)

        self.ports.database.write(work)

    def give_up_lost_hubs(self) -> None:
        """Disconnect the extensions of web processes that are no longer alive."""
        timeout_ms = self.ports.settings.hub_timeout_ms
        for hub_id in self.ports.database.read(lambda c: fleet.hubs_lost(c, timeout_ms)):
            self.extensions.hub_stopped(hub_id)

    def end_leases(self) -> None:
        """Return jobs whose lease has expired to the queue."""
        for job in self.ports.database.read(lambda c: leases.expired(c, BATCH)):
            self.ports.database.write(partial(self._end_lease, job))

    def fail_late(self) -> None:
        """Fail jobs whose client deadline has passed."""
        for job in self.ports.database.read(lambda c: jobs.late(c, BATCH)):
            self.ports.database.write(partial(self._fail_late, job))

    def fail_waiting_too_long(self) -> None:
        """Fail jobs that have waited for QUEUE_TIMEOUT_MS, or for NO_EXTENSION_TIMEOUT_MS without an extension that serves
        their model. A job with a deadline of its own waits until that. While its queue is paused, no time passes."""
        paused = self.queue_controls.list()
        members = self.ports.database.read(fleet.groups)
        for model in self.ports.database.read(queue.models_waited_for):
            if not paused.queue(model):
                self.ports.database.write(partial(self._fail_waiting_of, model, members))

    def wake(self) -> None:
        """Send wake-ups again: they may have been lost, or their sender may have crashed before sending them."""
        if self.ports.database.read(jobs.any_download_due):
            self.ports.tasks.download()
        if self.ports.database.read(self.reuse.any_due):
            self.ports.tasks.reuse()
        if self.ports.database.read(webhook_claims.any_due):
            self.ports.tasks.deliver()
        wake_if_a_job_waits(self.ports)

    def _bring_back(self, tx: Transaction, step_ms: int) -> None:
        """The clock was set back by `step_ms`: leases, pauses and stamps from the future are brought back."""
        log.warning("The database's clock was set back", action="housekeeping.clock", ms=step_ms)
        self._extend_leases(tx, 0)  # by nothing: it ends those earlier that would last longer than new ones
        clock_steps.bring_back(
            tx,
            download_ms=longest_download_ms(self.ports.settings, 1),
            cooldown_ms=LONGEST_PAUSE_MS,
            key_ms=self.ports.settings.idempotency_key_ttl_ms,
        )
        webhook_deliveries.bring_back(tx, claim_ms(self.ports.settings.webhook_timeout_ms))

    def _extend_leases(self, tx: Transaction, by_ms: int) -> None:
        settings = self.ports.settings
        leases.extend_all(
            tx,
            by_ms,
            lease_ms=settings.request_timeout_ms,
            offer_ms=settings.offer_timeout_ms,
            attempt_ms=settings.request_max_ms,
        )

    def _make_up_for_pause(self, tx: Transaction, pause_ms: int) -> None:
        """The service was down for `pause_ms`: nothing that could happen only while it runs may count as late."""
        self._extend_leases(tx, pause_ms)
        fleet.touch_all_hubs(tx)
        for key in (*policy.ANY_KEYS, *queue.models_waited_for(tx.connection)):
            service_state.update_last_served(tx, key, served_now=True)

    def _end_lease(self, job: Job, tx: Transaction) -> None:
        code, reason, strike = self._why_expired(tx, job)
        expired = {"lease_until": job.lease_until, "handed_over": job.handed_over}
        moved = self.requeueing.give_back(tx, job, code, reason, expired, strike=strike)
        if moved is not None:
            send_cancel(self.ports, tx, job)

    def _why_expired(self, tx: Transaction, job: Job) -> tuple[str, str, bool]:
        """Error code, reason, and whether this counts as a strike."""
        if not job.handed_over:
            return NO_EXTENSION, "The extension did not take the request.", False
        socket = fleet.socket_of(tx.connection, job.holder or "")
        if socket is None or socket.connection_id != job.connection_id:
            return GENERATION_FAILED, "The extension was lost and did not come back in time.", True
        settings = self.ports.settings
        if job.attempt_until is not None and job.attempt_until <= tx.now:
            return TIMEOUT, f"The extension did not finish within {settings.request_max_ms / 1000:g} seconds.", True
        return TIMEOUT, f"The extension was silent for {settings.request_timeout_ms / 1000:g} seconds.", True

    def _fail_late(self, job: Job, tx: Transaction) -> None:
        error = "The request was not completed by its deadlineMs."
        if self.requeueing.fail(tx, job, TIMEOUT, error, {"attempt": job.attempt}) is not None:
            send_cancel(self.ports, tx, job)

    def _fail_waiting_of(self, key: str, members: Sequence[FleetGroup], tx: Transaction) -> None:
        error = "The request waited in the queue for the longest time allowed."
        self._fail_waiting(tx, key, self.ports.settings.queue_timeout_ms, TIMEOUT, error)
        model, operation = split_key(key)
        timeout_ms = self.ports.settings.no_extension_timeout_ms
        error = (
            f"No extension that makes {operation.what} with {model} was connected for {timeout_ms / 1000:g} seconds."
        )
        if operation.capability is not None:
            error += f" It must announce {operation.capability}."
        if members:
            error += f" Connected extensions make: {policy.models_of(members)}."
        if self._is_unserved(tx, key, members):
            self._fail_waiting(tx, key, timeout_ms, NO_EXTENSION, error, any_model=False)
        # a request that names no model may go to any extension
        if model == DEFAULT_MODEL and self._is_unserved(tx, queue_key(ANY_MODEL, operation), members):
            self._fail_waiting(tx, key, timeout_ms, NO_EXTENSION, error, any_model=True)

    def _is_unserved(self, tx: Transaction, key: str, members: Sequence[FleetGroup]) -> bool:
        """True if no extension that serves the queue was connected for NO_EXTENSION_TIMEOUT_MS."""
        able = any(policy.can_do(member.capabilities, key) for member in members)
        return (
            service_state.update_last_served(tx, key, served_now=able)
            <= tx.now - self.ports.settings.no_extension_timeout_ms
        )

    def _fail_waiting(
        self, tx: Transaction, key: str, for_ms: int, code: str, error: str, *, any_model: bool | None = None
    ) -> None:
        for job in jobs.waiting_since(tx.connection, key, tx.now - for_ms, BATCH, any_model):
            self.requeueing.fail(tx, job, code, error, {"status": "accepted"})
