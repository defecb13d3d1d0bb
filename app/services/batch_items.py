"""The items of a batch as requests: checked, with the batch's defaults and style, and stored in one statement each for the
requests and for their first events."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

from sqlalchemy import Connection

from app.db import events, jobs, reuse, usage
from app.db.batches import Batch
from app.db.engine import Transaction
from app.domain.batches import ERRORS_LISTED, BatchDefaults, BatchItem, ItemError, LeftOut
from app.domain.errors import InvalidBatch, NotCached, Refusal
from app.domain.events import ImageGenerationRequestedEvent
from app.domain.fair_queueing import Priority
from app.domain.ids import uuid7
from app.domain.image_request import DEFAULT_MODEL, CacheMode, ImageRequest
from app.domain.tiers import Tier
from app.services import webhook_events
from app.services.identical import Source, following
from app.services.new_requests import columns_of
from app.services.ports import Ports
from app.services.styles import Styles
from app.services.tiers import UserTiers


@dataclass(frozen=True, slots=True)
class NewItem:
    """A request that becomes item number `index` of a batch, perhaps in the place of the request `retry_of`."""

    index: int
    custom_id: str | None
    order: ImageRequest
    retry_of: str | None = None


class BatchItems:
    def __init__(self, ports: Ports, styles: Styles) -> None:
        self.ports = ports
        self.styles = styles
        self.tiers = UserTiers(ports)

    def orders(
        self,
        connection: Connection,
        user_id: str,
        items: Sequence[BatchItem],
        defaults: BatchDefaults,
        left_out: LeftOut | None = None,
    ) -> tuple[list[tuple[BatchItem, ImageRequest]], LeftOut]:
        """The requests of these items with defaults and style, and those that cannot be made with the others `left_out`.

        Raises UnknownStyle, Forbidden, and InvalidBatch for errors; if items may be left out, only if no item is valid.
        """
        resolve = self.styles.resolver(connection, user_id, defaults.style)
        tier = self.tiers.of(connection, user_id)
        self._check_priorities(tier, items, defaults)
        made: list[tuple[BatchItem, ImageRequest]] = []
        errors: list[ItemError] = []
        for item in items:
            try:
                order = resolve(defaults.applied_to(item, user_id))
                self.ports.settings.retention.check(order.keep_days, tier.name)
                made.append((item, order))
            except Refusal as refusal:
                errors.append(ItemError(item.line, item.custom_id, _field(refusal), refusal.detail))
        if defaults.cache is CacheMode.ONLY:
            made = _cached(connection, user_id, made, errors)
        if errors and (left_out is None or not made):
            raise invalid(errors, len(items))
        return made, (left_out or LeftOut()).and_also(errors)

    def insert(self, tx: Transaction, batch: Batch, items: Sequence[NewItem], *, notify: bool = True) -> list[str]:
        """Store the items as held requests; returns their ids. Lock the user's quota before.

        `notify` is True if a webhook of the batch itself may want to be told.
        """
        tier = self.tiers.of(tx.connection, batch.user_id)
        last = usage.queue_of(tx.connection, batch.user_id, DEFAULT_MODEL, Priority.NORMAL)
        ids = list(self._ids(tx, last.last_id, len(items)))
        rows = [columns_of(item.order) for item in items]
        sources = self._sources(tx, batch.user_id, rows)
        common = {
            "batch_id": batch.id,
            "correlation_id": batch.correlation_id,
            "held_since": tx.now,
            "last_event": 1,
        }
        jobs.add_all(
            tx,
            [
                {
                    "id": job_id,
                    "number": number,
                    "batch_index": item.index,
                    "custom_id": item.custom_id,
                    "retry_of": item.retry_of,
                    "priority": tier.priority(item.order.priority),
                    **columns,
                    **following(sources.get(columns["fingerprint"]) if columns["cache"] else None),
                    **common,
                }
                for number, (job_id, item, columns) in enumerate(
                    zip(ids, items, rows, strict=True), last.last_number + 1
                )
            ],
        )
        models = (item.order.model or DEFAULT_MODEL for item in items)
        first = (ImageGenerationRequestedEvent(model, batch.user_id) for model in models)
        tx.after_commit(partial(self.ports.metrics.submitted, len(ids)))
        events.append_first(tx, zip(ids, first, strict=True))
        if last.notify or notify:
            webhook_events.items_accepted(self.ports, tx, batch, ids[0])
        return ids

    def _sources(self, tx: Transaction, user_id: str, rows: Sequence[Mapping[str, Any]]) -> dict[str, Source]:
        """The completed requests whose pictures the items get at once, by fingerprint."""
        wanted = list({columns["fingerprint"] for columns in rows if columns["cache"]})
        found = reuse.newest_completed(tx.connection, user_id, wanted)
        reuse.mark_all_followed(tx, found.values())
        if found:
            tx.after_commit(self.ports.tasks.reuse)
        return {fingerprint: Source(job_id, completed=True) for fingerprint, job_id in found.items()}

    def _ids(self, tx: Transaction, above: str | None, count: int) -> Iterator[str]:
        for _ in range(count):
            above = uuid7(tx.now, self.ports.randomness.bytes(10), above)
            yield above

    @staticmethod
    def _check_priorities(tier: Tier, items: Sequence[BatchItem], defaults: BatchDefaults) -> None:
        for priority in {defaults.priority, *(item.priority for item in items)}:
            tier.priority(priority)


def _cached(
    connection: Connection, user_id: str, made: Sequence[tuple[BatchItem, ImageRequest]], errors: list[ItemError]
) -> list[tuple[BatchItem, ImageRequest]]:
    """The items of which identical requests are completed; the others are added to the errors."""
    fingerprints = [columns_of(order)["fingerprint"] for _, order in made]
    found = reuse.newest_completed(connection, user_id, list({*fingerprints}))
    pairs = list(zip(made, fingerprints, strict=True))
    errors += [
        ItemError(item.line, item.custom_id, "cache", str(NotCached()))
        for (item, _), each in pairs
        if each not in found
    ]
    return [one for one, each in pairs if each in found]


def invalid(errors: Sequence[ItemError], total: int, rejected: int | None = None) -> InvalidBatch:
    """The refusal of items with these errors; `rejected` is how many items there are if not all errors are given."""
    first, rejected = errors[0], rejected or len({error.line for error in errors})
    named = f"Item {first.line}" if first.custom_id is None else f"Item {first.line} ({first.custom_id})"
    return InvalidBatch(
        f"{rejected:,} of {total:,} items cannot be accepted. {named}: {first.reason}", errors[:ERRORS_LISTED]
    )


def _field(refusal: Refusal) -> str | None:
    """The field that a refusal is about, or names at its beginning."""
    if refusal.field is not None:
        return refusal.field
    word = refusal.detail.partition(" ")[0]
    return word if word.partition(".")[0] in ("prompt", "variables", "parameters", "model", "style") else None
