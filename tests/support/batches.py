"""Batches for tests, and what their items do."""

from __future__ import annotations

from typing import Any

from app.db import batch_items, batches
from app.db.batches import Batch
from app.db.jobs import Job
from app.domain.batches import BatchDefaults, BatchItem, NewBatch
from app.domain.states import Status
from tests.support.harness import Harness


def items(count: int, **more: Any) -> list[BatchItem]:
    """That many items, with the custom ids p1, p2 …"""
    return [BatchItem(f"panel {n}", f"p{n}", line=n, **more) for n in range(1, count + 1)]


def create(harness: Harness, count: int = 5, concurrency: int = 2, user: str = "ann", **defaults: Any) -> Batch:
    """Submit a batch of that many items."""
    new = NewBatch(user, items(count), BatchDefaults(**defaults), "chapter 1", concurrency)
    return harness.services.batch_creation.create(new, "correlation-1").batch


def reload(harness: Harness, batch: Batch) -> Batch:
    """Read the batch's row again."""
    found = harness.bench.database.read(lambda c: batches.find(c, batch.id))
    assert found is not None
    return found


def requests(harness: Harness, batch: Batch, status: Status | None = None) -> list[Job]:
    """The batch's items in their order."""
    return harness.bench.database.read(lambda c: batch_items.page(c, batch.id, status, 0, 100_000))


def released(harness: Harness, batch: Batch) -> list[int]:
    """The numbers of the items that are in the queue or beyond it, and have not ended."""
    return [job.batch_index or 0 for job in requests(harness, batch) if job.held_since is None and not job.finished_at]


def event_types(harness: Harness, batch: Batch) -> list[str]:
    """The types of the batch's events, oldest first."""
    return [event.type for event in harness.services.batch_lookup.events_after(batch.id, 0).events]


def counts(harness: Harness, batch: Batch) -> dict[str, int]:
    """How many items are in each status, without those of which there are none."""
    found = harness.services.batch_lookup.details(batch.id).counts
    return {status.value: count for status, count in found.items() if count}
