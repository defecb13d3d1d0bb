"""Reads the contents of database and disk."""

from __future__ import annotations

import hashlib
from pathlib import Path
from urllib.parse import urlsplit

from sqlalchemy import Connection, select

from app.db.engine import Database
from app.db.tables import batch_events, batches, events, images, jobs
from app.db.webhook_tables import webhook_deliveries, webhook_endpoints
from app.domain.states import FINAL
from tests.chaos import pictures
from tests.chaos.history import BatchEvent, BatchRow, FileSeen, FinalState, LoggedEvent, Row, StoredPicture
from tests.chaos.hook_history import DeliveryRow


def rows(database: Database) -> dict[str, Row]:
    """The current row of every request."""
    names = ("id", "prompt", "status", "version", "last_event", "attempt", "strikes", "holder", "error_code", "error")
    of_batch = ("batch_id", "batch_index", "custom_id", "retry_of", "replaced_by")
    query = select(*(jobs.c[name] for name in (*names, *of_batch)))
    found = database.read(lambda c: list(c.execute(query)))
    return {row.id: Row(row.id, int(row.prompt.split()[-1]), *row[2:]) for row in found}


def still_open(database: Database) -> int:
    """How many requests have not ended."""
    return sum(row.status not in FINAL for row in rows(database).values())


def final_state(database: Database, folder: Path) -> FinalState:
    """The state of everything, from one snapshot of the database."""

    def read(connection: Connection) -> FinalState:
        found = FinalState()
        query = select(events.c.job_id, events.c.seq, events.c.type, events.c.status, events.c.at, events.c.data)
        for job_id, *rest in connection.execute(query.order_by(events.c.job_id, events.c.seq)):
            found.log[job_id].append(LoggedEvent(*rest))
        stored = select(images.c.job_id, images.c.position, images.c.file, images.c.sha256)
        found.pictures = [StoredPicture(*row) for row in connection.execute(stored)]
        _read_batches(connection, found)
        return found

    found = database.read(read)
    found.rows = rows(database)
    found.deliveries = deliveries(database)
    found.files = {str(path.relative_to(folder)): _seen(path) for path in folder.rglob("*") if path.is_file()}
    return found


def webhook_ids(database: Database) -> list[str]:
    """The webhooks that have an address."""
    query = select(webhook_endpoints.c.id).where(webhook_endpoints.c.url != "")
    return list(database.read(lambda c: list(c.execute(query).scalars())))


def deliveries(database: Database) -> list[DeliveryRow]:
    """What was or is to be sent to webhooks."""
    columns = (webhook_deliveries.c[name] for name in ("event_id", "status", "attempts"))
    query = select(webhook_endpoints.c.url, *columns).join_from(webhook_deliveries, webhook_endpoints)
    return [DeliveryRow(urlsplit(url).path, *row) for url, *row in database.read(lambda c: list(c.execute(query)))]


def _read_batches(connection: Connection, found: FinalState) -> None:
    for row in connection.execute(select(batches)):
        counts = (row.completed, row.failed, row.cancelled)
        found.batches[row.id] = BatchRow(row.id, row.status, row.concurrency, row.total, counts, row.last_event)
    query = select(batch_events.c.batch_id, batch_events.c.seq, batch_events.c.type, batch_events.c.data)
    for batch_id, *rest in connection.execute(query.order_by(batch_events.c.batch_id, batch_events.c.seq)):
        found.batch_log[batch_id].append(BatchEvent(*rest))


def _seen(path: Path) -> FileSeen:
    data = path.read_bytes()
    return FileSeen(hashlib.sha256(data).hexdigest(), pictures.read(data))
