"""The indexes of a batch's folder: a table, JSON and a contact sheet. Each is replaced as a whole, and made item by item."""

from __future__ import annotations

import csv
import json
import os
from collections.abc import Callable, Iterable, Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import TextIO

from imagefleet.batching import contact_sheet
from imagefleet.batching.entries import Entry, SavedPicture
from imagefleet.models import Batch

INDEXES = ("index.csv", "index.json", "index.html")
COLUMNS = (
    "index", "customId", "requestId", "status", "file", "problem", "prompt", "model", "seed", "width", "height", "bytes", "code",
    "error",
)  # fmt: skip
# A cell that begins with one of these is taken for a formula, which may send the sheet's contents elsewhere.
_FORMULA = ("=", "+", "-", "@", "\t", "\r", "\n", "＝", "＋", "－", "＠")

Entries = Callable[[], Iterator[Entry]]


def write_indexes(folder: Path, batch: Batch, entries: Entries) -> None:
    """Write the three of them. Raises OSError."""
    made_at = datetime.now(UTC)
    _replace(folder / "index.csv", lambda file: _write_csv(file, entries()), encoding="utf-8-sig")
    _replace(folder / "index.json", lambda file: _write_json(file, batch, entries(), made_at))
    _replace(folder / "index.html", lambda file: contact_sheet.write(file, batch, entries(), made_at))


def safe_cell(value: object) -> str:
    """The value as text that is no formula: what looks like one begins with an apostrophe. None is empty."""
    if value is None:
        return ""
    text = str(value)
    return f"'{text}" if isinstance(value, str) and text.lstrip(" ").startswith(_FORMULA) else text


def _replace(path: Path, write: Callable[[TextIO], None], encoding: str = "utf-8") -> None:
    unfinished = path.with_name(f".{path.name}.part")
    try:
        with unfinished.open("w", encoding=encoding, errors="replace", newline="") as file:
            write(file)
            file.flush()
            os.fsync(file.fileno())
        os.replace(unfinished, path)
    except OSError as error:
        unfinished.unlink(missing_ok=True)
        raise OSError(error.errno, error.strerror, str(path)) from None


def _write_csv(file: TextIO, entries: Iterable[Entry]) -> None:
    writer = csv.writer(file)
    writer.writerow(COLUMNS)
    for entry in entries:
        pictures: list[SavedPicture | None] = [*entry.pictures] or [None]
        writer.writerows(map(safe_cell, _row(entry, picture)) for picture in pictures)


def _row(entry: Entry, picture: SavedPicture | None) -> list[object]:
    shown = picture or SavedPicture("")
    return [
        entry.number, entry.custom_id, entry.request_id, entry.status, shown.file, shown.problem, entry.prompt, entry.model,
        entry.seed, shown.width, shown.height, shown.bytes, entry.code, entry.error,
    ]  # fmt: skip


def _write_json(file: TextIO, batch: Batch, entries: Iterable[Entry], made_at: datetime) -> None:
    head = {
        "batchId": batch.batch_id,
        "name": batch.name,
        "status": batch.status,
        "total": batch.counts.total,
        "counts": batch.counts.raw,
        "timestamp": f"{made_at:%Y-%m-%dT%H:%M:%SZ}",
    }
    file.write(json.dumps({name: value for name, value in head.items() if value is not None}, ensure_ascii=False)[:-1])
    file.write(', "items": [')
    separator = "\n"
    for entry in entries:
        file.write(separator + json.dumps(entry.described(), ensure_ascii=False))
        separator = ",\n"
    file.write("\n]}\n")
