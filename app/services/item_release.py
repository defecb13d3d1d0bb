"""Releasing items of a batch into the queue, or letting them follow identical requests."""

from collections.abc import Sequence
from functools import partial
from itertools import groupby

from app.db import holding, reuse
from app.db.batches import Batch
from app.db.engine import Transaction
from app.db.jobs import Job
from app.services.changes import change
from app.services.holding import Holding
from app.services.identical import Identical, Undecided, following
from app.services.ports import Ports

# Items of one transaction that are compared with other requests. Those that follow one leave the others behind them to the
# end of an item, or to the sweep.
MOST_COMPARED = 100


class ItemRelease:
    """Releases items of a batch that the transaction has locked. It waits for no other lock."""

    def __init__(self, ports: Ports, tx: Transaction, batch: Batch) -> None:
        self.ports = ports
        self.tx = tx
        self.batch = batch
        self._holding = Holding(ports)
        self._identical = Identical(ports)
        self._compared = 0
        self._passed: set[str] = set()

    def release(self, count: int) -> None:
        """Release the next `count` items. Those that follow another request do not count."""
        while count > 0 and self._compared < MOST_COMPARED:
            found = holding.held_of_batch(self.tx, self.batch.id, count + len(self._passed))
            found = [job for job in found if job.id not in self._passed]
            if not found:
                return
            for compares, some in groupby(found, lambda job: job.cache is not None):
                act = self._compare if compares else self._release
                count -= act(list(some))

    def _release(self, found: Sequence[Job]) -> int:
        self._holding.release(self.tx, found, self.batch.defaults.get("deadlineMs"))
        return len(found)

    def _compare(self, found: Sequence[Job]) -> int:
        """Returns how many were released."""
        released = 0
        for job in found[: MOST_COMPARED - self._compared]:
            self._compared += 1
            try:
                source = self._identical.find_at_once(self.tx, job)
            except Undecided:  # at the end of another item, or by the sweep
                self._passed.add(job.id)
                continue
            if source is None:
                released += self._release([job])
                continue
            reuse.follow(self.tx, job.id, following(source))
            now = job._replace(version=job.version + 1, updated_at=self.tx.now)
            self.tx.after_commit(partial(self.ports.bus.publish_change, change(now)))
            if source.completed:
                self.tx.after_commit(self.ports.tasks.reuse)
        return released
