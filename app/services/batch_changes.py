"""Changing a batch: its counts, its events, and how many of its items are in the queue.

Unless a batch is paused, as many of its items as its concurrency are released (in the queue or beyond it, and not ended), or
there are no more to release. Every change of a batch ends with `LockedBatch.save`, which sees to that.
"""

from collections.abc import Sequence
from functools import partial
from typing import Any

from app.db import batch_items, batches, holding, pauses
from app.db.batches import Batch
from app.db.engine import Transaction
from app.db.jobs import Job
from app.domain.batch_events import BatchFinishedEvent, BatchItemEndedEvent
from app.domain.batches import BatchStatus
from app.domain.events import Event
from app.domain.states import FINAL, Status
from app.services import webhook_events
from app.services.changes import change_of_batch
from app.services.holding import Holding
from app.services.item_release import ItemRelease
from app.services.ports import Ports


def item_moved(ports: Ports, tx: Transaction, item: Job) -> None:
    """An item has ended, or returned to the queue: its batch follows at the end of the transaction.

    The batch is locked then, once, after all jobs of the transaction.
    """
    batch_id = item.batch_id or ""
    tx.before_commit(f"batch {batch_id}", item, partial(_items_moved, ports, tx, batch_id))


def _items_moved(ports: Ports, tx: Transaction, batch_id: str, items: Sequence[Job]) -> None:
    batch = LockedBatch.find(ports, tx, batch_id)
    if batch is None:
        return
    for item in items:
        if item.status in FINAL:
            batch.count(item)
    batch.requeued([item for item in items if item.status is Status.ACCEPTED and item.held_since is None])
    batch.save()


class LockedBatch:
    """A batch that the transaction has locked. Call `save` at the end; no job may be waited for in between."""

    def __init__(self, ports: Ports, tx: Transaction, row: Batch) -> None:
        self.ports = ports
        self.tx = tx
        self.row = self._before = row
        self._holding = Holding(ports)
        self._events: list[Event] = []

    @classmethod
    def find(cls, ports: Ports, tx: Transaction, batch_id: str) -> "LockedBatch | None":
        """Lock the batch; None if there is none."""
        row = batches.lock(tx, batch_id)
        return None if row is None else cls(ports, tx, row)

    def set(self, **values: Any) -> None:
        """Change these columns."""
        self.row = self.row._replace(**values)

    def log(self, event: Event) -> None:
        """Add an event."""
        self._events.append(event)

    def count(self, item: Job, by: int = 1) -> None:
        """Count an item that has ended; with -1 take it out of the counts, because it is tried again."""
        status = item.status.value
        self.set(**{status: getattr(self.row, status) + by})
        if item.status is Status.FAILED:
            code = item.error_code or ""
            failures = {**self.row.failures, code: self.row.failures.get(code, 0) + by}
            self.set(failures={each: count for each, count in failures.items() if count > 0})
        if by > 0:
            self._count_start(item)
            ended = BatchItemEndedEvent(item.batch_index or 0, item.id, status, item.custom_id, item.error_code)
            self.log(ended)

    def reopen(self) -> None:
        """The batch gets more to do: it runs again if it was finished."""
        if self.row.finished_at is not None:
            self.set(status=BatchStatus.RUNNING, finished_at=None)

    def requeued(self, items: Sequence[Job]) -> None:
        """Hold these items, which have returned to the queue, if nothing of the batch may be in it."""
        if items and (self.row.status is not BatchStatus.RUNNING or self._user_is_paused()):
            self._holding.hold(self.tx, items)

    def hold_waiting(self, limit: int) -> int:
        """Take up to `limit` items out of the queue; returns how many."""
        found = holding.waiting_of_batch(self.tx, self.row.id, limit)
        self._holding.hold(self.tx, found)
        return len(found)

    def save(self) -> None:
        """Release or hold items as the concurrency demands, finish the batch if every item has ended, and store it."""
        self._fill()
        self._finish()
        self.set(
            version=self.row.version + 1,
            last_event=self.row.last_event + len(self._events),
            updated_at=self.tx.now,
        )
        batches.save(self.tx, self.row)
        first = self.row.last_event - len(self._events) + 1
        batches.append_events(self.tx, self.row.id, first, self.tx.now, self._events)
        webhook_events.of_batch(self.ports, self.tx, self._before, self.row)
        self.tx.after_commit(partial(self.ports.bus.publish_change, change_of_batch(self.row)))

    def _fill(self) -> None:
        if self.row.status is not BatchStatus.RUNNING or self._user_is_paused():
            return
        released = batch_items.released(self.tx.connection, self.row.id).all
        held = self.row.total - self.row.ended - released
        missing = min(self.row.concurrency - released, held)
        if missing > 0:
            ItemRelease(self.ports, self.tx, self.row).release(missing)
        elif released > self.row.concurrency:
            self.hold_waiting(released - self.row.concurrency)

    def _finish(self) -> None:
        row = self.row
        if row.finished_at is not None or row.ended < row.total:
            return
        status = row.status if row.status is BatchStatus.CANCELLED else BatchStatus.COMPLETED
        self.set(status=status, finished_at=self.tx.now, paused_at=None, paused_by=None)
        counts = {each.value: getattr(row, each.value) for each in Status if each in FINAL}
        self.log(BatchFinishedEvent(status.value, counts))

    def _count_start(self, item: Job) -> None:
        started = [each for each in (self.row.started_at, item.started_at) if each is not None]
        self.set(started_at=min(started, default=None))

    def _user_is_paused(self) -> bool:
        return pauses.user_is_paused(self.tx.connection, self.row.user_id)
