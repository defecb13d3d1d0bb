"""What it costs to accept a batch, compared with its rows alone."""

from __future__ import annotations

import time
import uuid
from collections.abc import Callable
from typing import Any

import pytest
from sqlalchemy import insert, select

from app.db.batches import Batch
from app.db.tables import jobs
from tests.support.batches import create
from tests.support.harness import Harness

ITEMS = 2_000
MOST = 4.0  # times the CPU of an executemany of the same rows

pytestmark = pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)


def cpu_s(work: Callable[[], object]) -> float:
    """The least CPU time of three runs."""
    times = []
    for _ in range(3):
        begun = time.process_time()
        work()
        times.append(time.process_time() - begun)
    return min(times)


def rows_of(harness: Harness, batch: Batch) -> list[dict[str, Any]]:
    query = select(jobs).where(jobs.c.batch_id == batch.id)
    return [dict(row) for row in harness.bench.database.read(lambda c: c.execute(query).mappings().all())]


def test_a_batch_costs_a_few_times_as_much_as_its_rows_alone(harness: Harness) -> None:
    rows = rows_of(harness, create(harness, ITEMS))

    def insert_rows() -> None:
        new = [{**row, "id": str(uuid.uuid4()), "batch_id": None} for row in rows]
        harness.bench.database.write(lambda tx: tx.connection.execute(insert(jobs), new))

    alone, batch = cpu_s(insert_rows), cpu_s(lambda: create(harness, ITEMS))
    assert batch / alone < MOST, (batch, alone)
