"""Reads the contents of database and disk."""

from __future__ import annotations

import hashlib
from pathlib import Path

from sqlalchemy import Connection, select

from app.db.engine import Database
from app.db.tables import events, images, jobs
from app.domain.states import FINAL
from tests.chaos import pictures
from tests.chaos.history import FileSeen, FinalState, LoggedEvent, Row, StoredPicture


def rows(database: Database) -> dict[str, Row]:
    """The current row of every request."""
    names = ("id", "prompt", "status", "version", "last_event", "attempt", "strikes", "holder", "error_code", "error")
    query = select(*(jobs.c[name] for name in names))
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
        return found

    found = database.read(read)
    found.rows = rows(database)
    found.files = {str(path.relative_to(folder)): _seen(path) for path in folder.rglob("*") if path.is_file()}
    return found


def _seen(path: Path) -> FileSeen:
    data = path.read_bytes()
    return FileSeen(hashlib.sha256(data).hexdigest(), pictures.read(data))
