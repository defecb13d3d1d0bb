"""Accepting batches, and more items for them: one transaction stores the requests with their events and releases the first."""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

from app.db import batch_items, batches
from app.db.batches import Batch
from app.db.engine import Transaction
from app.domain.batch_events import BatchCreatedEvent, BatchItemsAddedEvent
from app.domain.batches import BatchDefaults, BatchItem, BatchStatus, ItemError, LeftOut, NewBatch
from app.domain.errors import AlreadyFinished, InvalidBatch
from app.domain.ids import uuid7
from app.domain.image_request import ImageRequest
from app.services import idempotency
from app.services.admission import Admission
from app.services.batch_changes import LockedBatch
from app.services.batch_items import BatchItems, NewItem, invalid
from app.services.batch_lookup import owned
from app.services.fleet_summaries import FleetSummary
from app.services.idempotency import KeyedRequest
from app.services.ports import Ports
from app.services.quotas import Quotas
from app.services.waiting import QueueInfo, Waiting
from app.services.webhooks import Webhooks

IDS_AT_ONCE = 500


@dataclass(frozen=True, slots=True)
class AcceptedBatch:
    """A batch that was stored, the items that it was made without, and why the item waits that is handed out first."""

    batch: Batch
    left_out: LeftOut
    queue: QueueInfo | None = None


class BatchCreation:
    def __init__(
        self, ports: Ports, admission: Admission, items: BatchItems, waiting: Waiting, webhooks: Webhooks
    ) -> None:
        self.ports = ports
        self.waiting = waiting
        self.webhooks = webhooks
        self.admission = admission
        self.items = items
        self.quotas = Quotas(ports)

    def create(
        self,
        new: NewBatch,
        correlation_id: str,
        keyed: KeyedRequest[AcceptedBatch] | None = None,
        *,
        left_out: LeftOut | None = None,
    ) -> AcceptedBatch:
        """Accept the batch; when this returns, it is committed. If items may be `left_out`, those that cannot be made join them.

        Raises Unavailable, QuotaExceeded, Forbidden, UnknownStyle, InvalidBatch, WebhookRefused. With an Idempotency-Key
        (`keyed`) also AlreadyAnswered and IdempotencyKeyReused.
        """
        self.admission.check()
        self._check_total(len(new.items))
        _check_custom_ids(new.items)
        if new.webhook is not None:
            self.webhooks.check(new.webhook)
        # before the transaction, which keeps others from writing in SQLite
        made, left = self.ports.database.read(
            lambda c: self.items.orders(c, new.user_id, new.items, new.defaults, left_out)
        )

        summary = self.waiting.summaries.current()

        def work(tx: Transaction) -> AcceptedBatch:
            idempotency.claim(tx, keyed)
            row = self._row(tx, new, correlation_id)
            batches.add(tx, row)
            if new.webhook is not None:
                self.webhooks.attach(tx, new.user_id, row.id, new.webhook)
            batch = LockedBatch(self.ports, tx, row)
            batch.log(BatchCreatedEvent(len(made)))
            self._insert(tx, batch, made, first=1, notify=new.webhook is not None)
            accepted = AcceptedBatch(batch.row, left, self._why_waiting(tx, row.id, summary))
            idempotency.keep(tx, keyed, accepted, row.id)
            return accepted

        with self.quotas.lock(new.user_id):
            return self.ports.database.write(work)

    def add(
        self,
        batch_id: str,
        items: Sequence[BatchItem],
        owner: str | None = None,
        *,
        left_out: LeftOut | None = None,
    ) -> AcceptedBatch:
        """Add items to the batch, which runs again if it was completed. Raises NotFound, AlreadyFinished, and as `create`."""
        self.admission.check()
        _check_custom_ids(items)
        user_id = self.ports.database.read(lambda c: owned(batches.find(c, batch_id), batch_id, owner)).user_id

        def work(tx: Transaction) -> AcceptedBatch:
            self.quotas.serialize(tx, user_id)
            batch = LockedBatch(self.ports, tx, owned(batches.lock(tx, batch_id), batch_id, owner))
            if batch.row.status is BatchStatus.CANCELLED:
                raise AlreadyFinished("The batch is cancelled: send the items as a new one.")
            self._check_total(len(items), batch.row.total)
            self._check_new_custom_ids(tx, batch.row.id, items)
            defaults = BatchDefaults.restored(batch.row.defaults)
            made, left = self.items.orders(tx.connection, user_id, items, defaults, left_out)
            batch.reopen()
            batch.log(BatchItemsAddedEvent(len(made)))
            self._insert(tx, batch, made, first=1 + batch_items.last_index(tx.connection, batch_id))
            return AcceptedBatch(batch.row, left)

        with self.quotas.lock(user_id):
            return self.ports.database.write(work)

    def _why_waiting(self, tx: Transaction, batch_id: str, summary: FleetSummary) -> QueueInfo | None:
        first = batch_items.first_accepted(tx.connection, batch_id)
        return None if first is None else self.waiting.of_one(tx.connection, first, summary)

    def _row(self, tx: Transaction, new: NewBatch, correlation_id: str) -> Batch:
        return Batch(
            id=uuid7(tx.now, self.ports.randomness.bytes(10)),
            user_id=new.user_id,
            correlation_id=correlation_id,
            name=new.name,
            status=BatchStatus.RUNNING,
            concurrency=new.concurrency,
            defaults=new.defaults.stored(),
            total=0,
            completed=0,
            failed=0,
            cancelled=0,
            failures={},
            version=0,
            last_event=0,
            paused_at=None,
            paused_by=None,
            created_at=tx.now,
            updated_at=tx.now,
            started_at=None,
            finished_at=None,
        )

    def _insert(
        self,
        tx: Transaction,
        batch: LockedBatch,
        made: Sequence[tuple[BatchItem, ImageRequest]],
        first: int,
        *,
        notify: bool = True,
    ) -> None:
        self.quotas.serialize(tx, batch.row.user_id)
        self.quotas.check_items(tx, batch.row.user_id, len(made))
        items = [NewItem(index, item.custom_id, order) for index, (item, order) in enumerate(made, first)]
        self.items.insert(tx, batch.row, items, notify=notify)
        batch.set(total=batch.row.total + len(made))
        batch.save()

    def _check_total(self, count: int, before: int = 0) -> None:
        most = self.ports.settings.batch_max_items
        if not count:
            raise InvalidBatch("items is empty: a batch has one item or more.")
        if before + count > most:
            has = f"has {before:,} items and would have {before + count:,}" if before else f"has {count:,} items"
            raise InvalidBatch(f"The batch {has}: at most {most:,} are allowed (BATCH_MAX_ITEMS).")

    def _check_new_custom_ids(self, tx: Transaction, batch_id: str, items: Sequence[BatchItem]) -> None:
        by_id = {item.custom_id: item for item in items if item.custom_id is not None}
        ids = list(by_id)
        errors = [
            _repeated(by_id[job.custom_id or ""])
            for begin in range(0, len(ids), IDS_AT_ONCE)
            for job in batch_items.by_custom_id(tx.connection, batch_id, ids[begin : begin + IDS_AT_ONCE])
        ]
        if errors:
            raise invalid(errors, len(items))


def _check_custom_ids(items: Sequence[BatchItem]) -> None:
    counts = Counter(item.custom_id for item in items if item.custom_id is not None)
    if len(counts) < sum(counts.values()):
        errors = [_repeated(item) for item in items if counts[item.custom_id or ""] > 1]
        raise invalid(errors, len(items))


def _repeated(item: BatchItem) -> ItemError:
    return ItemError(item.line, item.custom_id, "customId", "customId is that of another item of this batch.")
