"""Ageing: requests that have waited for long move to a better priority class, one of each user at a time."""

from functools import partial

from app.db import ageing, clock, pauses, service_state, usage
from app.db.engine import Transaction
from app.db.jobs import Job
from app.domain.fair_queueing import Priority
from app.domain.states import Step
from app.services import steps
from app.services.ports import Ports
from app.services.tiers import UserTiers

SWEEP = "ageing"
SWEEPS = 100  # during QUEUE_AGE_MS


class Ageing:
    def __init__(self, ports: Ports) -> None:
        self.ports = ports
        self.tiers = UserTiers(ports)

    def raise_aged(self) -> None:
        """Raise the oldest job of each user that has waited for QUEUE_AGE_MS, for another such time since its last raise.

        It gets a new virtual start in its new queue. Idle jobs stay idle, and those of paused queues do not age.
        """
        age_ms = self.ports.settings.queue_age_ms
        if self.ports.database.read(lambda c: service_state.swept_within(c, SWEEP, age_ms // SWEEPS)):
            return
        self.ports.database.write(lambda tx: service_state.last_sweep(tx, SWEEP))
        if self.ports.database.read(pauses.every).everything:
            return
        for job in self.ports.database.read(lambda c: ageing.aged(c, clock.now(c), age_ms)):
            self.ports.database.write(partial(self._raise, job))

    def _raise(self, job: Job, tx: Transaction) -> None:
        priority = Priority(job.priority - 1)
        weight = self.tiers.of(tx.connection, job.user_id).weight
        steps.take(
            self.ports,
            tx,
            Step.RAISE,
            job.id,
            {"priority": job.priority, "raised": job.raised, "held_since": None},
            priority=priority,
            raised=job.raised + 1,
            virtual_start=usage.virtual_start(tx.connection, job.user_id, job.queue_key, priority, weight),
        )
