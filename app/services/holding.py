"""Holding waiting requests back, and releasing them into the queue.

Both work with jobs that the transaction has just found and locked (see `db.holding`).
"""

from collections.abc import Iterable, Sequence
from functools import partial

from app.db import holding, usage
from app.db.engine import Transaction
from app.db.jobs import Job
from app.domain import fair_queueing
from app.domain.fair_queueing import Priority
from app.services.changes import change
from app.services.ports import Ports
from app.services.tiers import UserTiers
from app.services.wakeups import wake_if_an_extension_is_free

AT_ONCE = 500  # jobs of one transaction


class Holding:
    def __init__(self, ports: Ports) -> None:
        self.ports = ports
        self.tiers = UserTiers(ports)

    def hold(self, tx: Transaction, found: Sequence[Job]) -> None:
        """Take these waiting jobs out of the queue."""
        # the deadline of a batch's item runs from its release
        holding.hold(tx, {job.id: job.deadline_at if job.batch_id is None else None for job in found})
        self._publish(tx, found)

    def release(self, tx: Transaction, found: Sequence[Job], deadline_ms: int | None = None) -> None:
        """Put these held jobs of one user into the queue, in this order. Items of a batch get a deadline of `deadline_ms`."""
        deadline_at = None if deadline_ms is None else tx.now + deadline_ms
        starts = zip(found, self._virtual_starts(tx, found), strict=True)
        holding.release(
            tx,
            {job.id: (start, job.deadline_at if job.batch_id is None else deadline_at) for job, start in starts},
        )
        self._publish(tx, found)
        if found:
            tx.after_commit(partial(wake_if_an_extension_is_free, self.ports))

    def hold_user(self, user_id: str) -> None:
        """Take everything of the user out of the queue. Jobs that enter it meanwhile are the caller's concern."""
        while self.ports.database.write(partial(self._hold_some_of, user_id)):
            pass

    def release_user(self, user_id: str) -> None:
        """Put the user's held jobs into the queue, except items of batches, which their batches release."""
        while self.ports.database.write(partial(self._release_some_of, user_id)):
            pass

    def _hold_some_of(self, user_id: str, tx: Transaction) -> int:
        found = holding.waiting_of_user(tx, user_id, AT_ONCE)
        self.hold(tx, found)
        return len(found)

    def _release_some_of(self, user_id: str, tx: Transaction) -> int:
        found = holding.held_of_user(tx, user_id, AT_ONCE)
        self.release(tx, found)
        return len(found)

    def _virtual_starts(self, tx: Transaction, found: Iterable[Job]) -> list[int]:
        """Those of jobs that enter their queues one after the other."""
        starts: list[int] = []
        last: dict[tuple[str, int], int] = {}
        weight = 1
        for job in found:
            queue = job.queue_key, job.priority
            if not starts:
                weight = self.tiers.of(tx.connection, job.user_id).weight
            if queue in last:
                last[queue] = fair_queueing.virtual_start(0, last[queue], weight)
            else:
                last[queue] = usage.virtual_start(
                    tx.connection, job.user_id, job.queue_key, Priority(job.priority), weight
                )
            starts.append(last[queue])
        return starts

    def _publish(self, tx: Transaction, changed: Iterable[Job]) -> None:
        for job in changed:
            now = job._replace(version=job.version + 1, updated_at=tx.now)
            tx.after_commit(partial(self.ports.bus.publish_change, change(now)))
