"""Trying items of a batch again: each becomes a new request, which takes the old one's place."""

from collections.abc import Callable, Sequence
from dataclasses import replace

from app.db import batch_items, batches
from app.db.batches import Batch
from app.db.engine import Transaction
from app.db.jobs import Job
from app.domain.batch_events import BatchItemsRetriedEvent
from app.domain.batches import BatchStatus, ItemEdit, ItemError
from app.domain.errors import AlreadyFinished, Refusal
from app.domain.fair_queueing import Priority
from app.domain.image_request import ImageRequest
from app.domain.states import FINAL, Status
from app.services.admission import Admission
from app.services.batch_changes import LockedBatch
from app.services.batch_items import BatchItems, NewItem, invalid
from app.services.batch_lookup import owned
from app.services.ports import Ports
from app.services.quotas import Quotas

Retries = Sequence[tuple[Job, ItemEdit]]
NO_EDIT = ItemEdit()


class BatchRetrying:
    def __init__(self, ports: Ports, admission: Admission, items: BatchItems) -> None:
        self.ports = ports
        self.admission = admission
        self.items = items
        self.quotas = Quotas(ports)

    def retry(
        self, batch_id: str, status: Status | None, edits: Sequence[ItemEdit] = (), owner: str | None = None
    ) -> Batch:
        """Try all items with this final status again, and those that the edits name, with what is edited.

        Raises NotFound, AlreadyFinished, Unavailable, QuotaExceeded, InvalidBatch, UnknownStyle.
        """
        most = self.ports.settings.batch_max_items

        def found(tx: Transaction) -> Retries:
            named = _named(tx, batch_id, edits)
            ended = [] if status is None else batch_items.page(tx.connection, batch_id, status, 0, most)
            known = {job.id for job, _ in named}
            return [*named, *((job, NO_EDIT) for job in ended if job.id not in known)]

        return self._retry(batch_id, owner, found)

    def _retry(self, batch_id: str, owner: str | None, find: Callable[[Transaction], Retries]) -> Batch:
        self.admission.check()
        user_id = self.ports.database.read(lambda c: owned(batches.find(c, batch_id), batch_id, owner)).user_id

        def work(tx: Transaction) -> Batch:
            self.quotas.serialize(tx, user_id)
            batch = LockedBatch(self.ports, tx, owned(batches.lock(tx, batch_id), batch_id, owner))
            if batch.row.status is BatchStatus.CANCELLED and batch.row.finished_at is None:
                raise AlreadyFinished("The batch is being cancelled: try again when it is.")
            retries = find(tx)
            if not retries:
                return batch.row
            self.quotas.check_items(tx, user_id, len(retries))
            self._replace(tx, batch, retries)
            return batch.row

        with self.quotas.lock(user_id):
            return self.ports.database.write(work)

    def _replace(self, tx: Transaction, batch: LockedBatch, retries: Retries) -> None:
        new_ids = self.items.insert(tx, batch.row, self._new_items(tx, retries))
        if not batch_items.replace(tx, zip((old for old, _ in retries), new_ids, strict=True)):
            raise AlreadyFinished("Some of these items were changed at this moment: try again.")
        for old, _ in retries:
            batch.count(old, -1)
        batch.reopen()
        batch.log(BatchItemsRetriedEvent(len(retries)))
        batch.save()

    def _new_items(self, tx: Transaction, retries: Retries) -> list[NewItem]:
        items: list[NewItem] = []
        errors: list[ItemError] = []
        for old, edit in retries:
            index = old.batch_index or 0
            try:
                items.append(NewItem(index, old.custom_id, self._order(tx, old, edit), retry_of=old.id))
            except Refusal as refusal:
                errors.append(ItemError(index, old.custom_id, None, refusal.detail))
        if errors:
            raise invalid(errors, len(retries))
        return items

    def _order(self, tx: Transaction, old: Job, edit: ItemEdit) -> ImageRequest:
        same = ImageRequest(
            prompt=old.prompt,
            model=None if old.any_model else old.model,
            user_id=old.user_id,
            parameters={**old.parameters, **(edit.parameters or {})},
            style=old.style,
            variables=old.variables or {},
            original_prompt=old.original_prompt,
            priority=Priority(min(old.priority + old.raised, Priority.IDLE)),
            keep_days=old.keep_days,
        )
        if edit.prompt is None:
            return same
        return self.items.styles.applied(tx.connection, replace(same, prompt=edit.prompt, original_prompt=None))


def _named(tx: Transaction, batch_id: str, edits: Sequence[ItemEdit]) -> Retries:
    """The items that the edits name. Raises InvalidBatch if one is not there, has not ended, or is named twice."""
    by_id = {
        job.custom_id: job
        for job in batch_items.by_custom_id(
            tx.connection, batch_id, [edit.custom_id for edit in edits if edit.custom_id]
        )
    }
    by_index = {
        job.batch_index: job
        for job in batch_items.by_index(tx.connection, batch_id, [edit.index for edit in edits if edit.index])
    }
    found: dict[str, tuple[Job, ItemEdit]] = {}
    errors: list[ItemError] = []
    for number, edit in enumerate(edits, 1):
        job = by_id.get(edit.custom_id) if edit.custom_id else by_index.get(edit.index)
        problem = _problem(edit, job, found)
        if problem is None and job is not None:
            found[job.id] = job, edit
        else:
            errors.append(ItemError(number, edit.custom_id, None, problem or ""))
    if errors:
        raise invalid(errors, len(edits))
    return list(found.values())


def _problem(edit: ItemEdit, job: Job | None, found: dict[str, tuple[Job, ItemEdit]]) -> str | None:
    if (edit.index is None) == (edit.custom_id is None):
        return "Name it by either index or customId."
    if job is None:
        return "The batch has no such item."
    if job.status not in FINAL:
        return f"It is {job.status.value}: cancel it first, or wait for its end."
    return "It is named twice." if job.id in found else None
