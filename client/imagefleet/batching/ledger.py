"""What a batch's folder knows: what was submitted, as which batch, and which items have ended. A small SQLite database.

Every change is on the disk before the call returns. Use it from one thread.
"""

from __future__ import annotations

import errno
import json
import os
import sqlite3
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from imagefleet.batching.entries import Entry

VERSION = 1
BUSY_S = 10.0
_TABLES = (
    "CREATE TABLE facts (name TEXT PRIMARY KEY, value TEXT NOT NULL) WITHOUT ROWID",
    # `settled`: the pictures of `request_id` were found whole in the folder, or can never be had. `entry` may be of an earlier try.
    "CREATE TABLE items (number INTEGER PRIMARY KEY, request_id TEXT NOT NULL, custom_id TEXT, settled INTEGER NOT NULL, entry TEXT)",
    "CREATE INDEX unsettled ON items (number) WHERE NOT settled",
)


class Damaged(Exception):
    """The file is not what was written; the message says what to do."""

    def __init__(self, path: Path, problem: str) -> None:
        super().__init__(
            f"{path} cannot be used: {problem}. Move it away, and fetch the batch again: "
            f"imagefleet batch BATCH_ID --output {path.parent}"
        )


@dataclass(frozen=True, slots=True)
class Task:
    """An item that has ended as this request, and what the folder has of it."""

    number: int
    request_id: str
    custom_id: str | None
    entry: Entry | None


class Ledger:
    """The database at `path`, which is made if it is missing. Raises Damaged, OSError."""

    def __init__(self, path: Path) -> None:
        self._path = path
        with self._faults():
            self._db = sqlite3.connect(path, timeout=BUSY_S, isolation_level=None)
            self._db.execute("PRAGMA synchronous = FULL")
            self._create()

    def close(self) -> None:
        """Close it."""
        self._db.close()

    def facts(self) -> dict[str, Any]:
        """What is known of the batch."""
        with self._faults():
            return {name: json.loads(value) for name, value in self._db.execute("SELECT name, value FROM facts")}

    def record(self, **facts: Any) -> None:
        """Keep these facts, all of them or none; one that is None is forgotten."""
        with self._faults(), self._db:
            self._db.execute("BEGIN IMMEDIATE")
            for name, value in facts.items():
                if value is None:
                    self._db.execute("DELETE FROM facts WHERE name = ?", (name,))
                else:
                    self._db.execute("INSERT OR REPLACE INTO facts VALUES (?, ?)", (name, json.dumps(value)))

    @contextmanager
    def together(self) -> Iterator[None]:
        """What is changed in this block is written at its end, at once, also if an error ends it."""
        with self._faults():
            self._db.execute("BEGIN IMMEDIATE")
        try:
            yield
        finally:
            with self._faults():
                self._db.commit()

    def note_end(self, number: int, request_id: str, custom_id: str | None) -> None:
        """The item has ended as this request: unless that is known, its pictures are to be fetched."""
        with self._faults():
            self._db.execute(
                "INSERT INTO items VALUES (?, ?, ?, 0, NULL) ON CONFLICT (number) DO UPDATE"
                " SET request_id = excluded.request_id, custom_id = excluded.custom_id, settled = 0"
                " WHERE request_id <> excluded.request_id",
                (number, request_id, custom_id),
            )

    def settle(self, entry: Entry) -> bool:
        """Keep what has become of an item. False if it has been tried again meanwhile, and ended."""
        with self._faults():
            changed = self._db.execute(
                "UPDATE items SET settled = 1, entry = ? WHERE number = ? AND request_id = ?",
                (entry.write(), entry.number, entry.request_id),
            )
        return changed.rowcount > 0

    def unsettle(self) -> None:
        """Every item is to be checked again."""
        with self._faults():
            self._db.execute("UPDATE items SET settled = 0 WHERE settled")

    def unsettled(self, limit: int, without: frozenset[int] = frozenset()) -> list[Task]:
        """The first items whose pictures are to be fetched or checked, `without` those of these numbers."""
        with self._faults():
            rows = self._db.execute(
                "SELECT number, request_id, custom_id, entry FROM items WHERE NOT settled ORDER BY number LIMIT ?",
                (limit + len(without),),
            ).fetchall()
        tasks = [_task(row) for row in rows if row[0] not in without]
        return tasks[:limit]

    def find(self, number: int) -> Entry | None:
        """What is known of the item."""
        with self._faults():
            row = self._db.execute("SELECT entry FROM items WHERE number = ?", (number,)).fetchone()
        return None if row is None or row[0] is None else Entry.read(row[0])

    def number_of(self, custom_id: str) -> int | None:
        """The number of the item with this id, if it has ended."""
        with self._faults():
            row = self._db.execute("SELECT number FROM items WHERE custom_id = ?", (custom_id,)).fetchone()
        return None if row is None else int(row[0])

    def entries(self) -> Iterator[Entry]:
        """The items that have ended, in their order."""
        after = 0
        while True:
            with self._faults():
                rows = self._db.execute(
                    "SELECT number, entry FROM items WHERE number > ? AND entry IS NOT NULL ORDER BY number LIMIT 200",
                    (after,),
                ).fetchall()
            if not rows:
                return
            for after, text in rows:  # noqa: B007 - the next page begins behind the last one
                yield Entry.read(text)

    def _create(self) -> None:
        version = self._db.execute("PRAGMA user_version").fetchone()[0]
        if version not in (0, VERSION):
            raise Damaged(self._path, "it was made by another version of imagefleet")
        if version == VERSION:
            return
        with self._db:
            self._db.execute("BEGIN IMMEDIATE")
            for statement in _TABLES:
                self._db.execute(statement)
            self._db.execute(f"PRAGMA user_version = {VERSION}")

    def _faults(self) -> _Faults:
        return _Faults(self._path)


class _Faults:
    """Turns the errors of SQLite into those of files."""

    def __init__(self, path: Path) -> None:
        self._path = path

    def __enter__(self) -> None: ...

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: object) -> None:
        if not isinstance(error, sqlite3.Error):
            return
        if isinstance(error, sqlite3.OperationalError):
            number, reason = _meaning(error)
            raise OSError(number, reason, str(self._path)) from error
        raise Damaged(self._path, str(error)) from error


def _meaning(error: sqlite3.OperationalError) -> tuple[int, str]:
    numbers: Mapping[int, int] = {
        sqlite3.SQLITE_FULL: errno.ENOSPC,
        sqlite3.SQLITE_READONLY: errno.EROFS,
        sqlite3.SQLITE_CANTOPEN: errno.EACCES,
    }
    number = numbers.get(error.sqlite_errorcode & 0xFF)
    return (number, os.strerror(number)) if number is not None else (errno.EIO, str(error))


def _task(row: tuple[int, str, str | None, str | None]) -> Task:
    number, request_id, custom_id, entry = row
    return Task(number, request_id, custom_id, None if entry is None else Entry.read(entry))
