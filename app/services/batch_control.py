"""What owners do to their batches: pause, resume, change, cancel."""

from collections.abc import Callable
from contextlib import suppress
from functools import partial

from app.db import batch_items, batches, holding
from app.db.batches import Batch
from app.db.engine import Transaction
from app.db.jobs import Job
from app.domain.batch_events import BatchChangedEvent, BatchPausedEvent, BatchResumedEvent
from app.domain.batches import ENDED, BatchStatus
from app.domain.errors import AlreadyFinished, NotFound
from app.domain.fair_queueing import Priority
from app.services.batch_changes import LockedBatch
from app.services.batch_lookup import owned
from app.services.cancellation import Cancellation
from app.services.holding import AT_ONCE
from app.services.ports import Ports
from app.services.tiers import UserTiers

FindItems = Callable[[Transaction, str, int], list[Job]]


class BatchControl:
    """With an `owner`, batches of other users are not found."""

    def __init__(self, ports: Ports, cancellation: Cancellation) -> None:
        self.ports = ports
        self.cancellation = cancellation
        self.tiers = UserTiers(ports)

    def pause(self, batch_id: str, owner: str | None = None, by: str | None = None) -> Batch:
        """Hand nothing of the batch out any more; idempotent. What extensions hold goes on.

        Raises NotFound, AlreadyFinished.
        """

        def work(tx: Transaction) -> Batch:
            batch = self._open(tx, batch_id, owner)
            if batch.row.status is BatchStatus.RUNNING:
                batch.set(status=BatchStatus.PAUSED, paused_at=tx.now, paused_by=by)
                batch.log(BatchPausedEvent(by))
                batch.hold_waiting(AT_ONCE)
                batch.save()
            return batch.row

        paused = self.ports.database.write(work)
        self.hold(batch_id)
        return paused

    def hold(self, batch_id: str) -> None:
        """Hold what is still in the queue of a paused batch."""

        def work(tx: Transaction) -> int:
            batch = LockedBatch.find(self.ports, tx, batch_id)
            return batch.hold_waiting(AT_ONCE) if batch and batch.row.status is BatchStatus.PAUSED else 0

        while self.ports.database.write(work):
            pass

    def resume(self, batch_id: str, owner: str | None = None) -> Batch:
        """Hand items out again; idempotent. Raises NotFound, AlreadyFinished."""

        def work(tx: Transaction) -> Batch:
            batch = self._open(tx, batch_id, owner)
            if batch.row.status is BatchStatus.PAUSED:
                batch.set(status=BatchStatus.RUNNING, paused_at=None, paused_by=None)
                batch.log(BatchResumedEvent())
                batch.save()
            return batch.row

        return self.ports.database.write(work)

    def change(
        self,
        batch_id: str,
        owner: str | None = None,
        *,
        name: str | None = None,
        concurrency: int | None = None,
        priority: Priority | None = None,
    ) -> Batch:
        """Change what is not None. A priority is for all items that no extension has begun.

        Raises NotFound, Forbidden, and AlreadyFinished for a batch that has ended, unless only its name changes.
        """

        def work(tx: Transaction) -> Batch:
            batch = LockedBatch(self.ports, tx, owned(batches.lock(tx, batch_id), batch_id, owner))
            if (name, concurrency, priority) == (None, None, None):
                return batch.row
            if (concurrency, priority) != (None, None):
                _check_open(batch.row)
            if name is not None:
                batch.set(name=name)
            if concurrency is not None:
                batch.set(concurrency=concurrency)
            if priority is not None:
                self._prioritise(tx, batch, priority)
            batch.log(BatchChangedEvent(name, concurrency, None if priority is None else priority.word))
            batch.save()
            return batch.row

        return self.ports.database.write(work)

    def cancel(self, batch_id: str, owner: str | None = None, *, waiting_only: bool = False) -> Batch:
        """Cancel the batch, or only the items that no extension has begun; idempotent. Raises NotFound, AlreadyFinished."""

        def work(tx: Transaction) -> Batch:
            row = owned(batches.lock(tx, batch_id), batch_id, owner)
            if row.status is BatchStatus.CANCELLED:
                return row
            _check_open(row)
            if waiting_only:
                return row
            batch = LockedBatch(self.ports, tx, row)
            batch.set(status=BatchStatus.CANCELLED, paused_at=None, paused_by=None)
            batch.save()
            return batch.row

        self.ports.database.write(work)
        self.cancel_items(batch_id, waiting_only=waiting_only)
        return self.ports.database.read(lambda c: owned(batches.find(c, batch_id), batch_id, owner))

    def cancel_items(self, batch_id: str, *, waiting_only: bool) -> None:
        """Cancel the items that no extension has begun, and the others unless `waiting_only`.

        Each transaction cancels some. What is skipped because others change it at this moment is left to the sweep.
        """
        for find in (holding.held_of_batch, holding.waiting_of_batch, holding.following_of_batch):
            while self.ports.database.write(partial(self._cancel_some, find, batch_id)):
                pass
        if not waiting_only:
            for item_id in self.ports.database.read(partial(batch_items.released_ids, batch_id=batch_id)):
                self._cancel_item(item_id)

    def _cancel_some(self, find: FindItems, batch_id: str, tx: Transaction) -> int:
        found = find(tx, batch_id, AT_ONCE)
        self.cancellation.cancel_waiting(tx, found)
        return len(found)

    def _cancel_item(self, item_id: str) -> None:
        with suppress(AlreadyFinished, NotFound):  # it has ended meanwhile
            self.cancellation.cancel(item_id)

    def _prioritise(self, tx: Transaction, batch: LockedBatch, priority: Priority) -> None:
        self.tiers.of(tx.connection, batch.row.user_id).priority(priority)
        batch.set(defaults={**batch.row.defaults, "priority": priority.word})
        batch.hold_waiting(batch.row.concurrency)
        batch_items.prioritise_held(tx, batch.row.id, priority)

    def _open(self, tx: Transaction, batch_id: str, owner: str | None) -> LockedBatch:
        row = owned(batches.lock(tx, batch_id), batch_id, owner)
        _check_open(row)
        return LockedBatch(self.ports, tx, row)


def _check_open(row: Batch) -> None:
    if row.status in ENDED:
        raise AlreadyFinished(f"The batch is already {row.status.value}.")
