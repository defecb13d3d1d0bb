"""The formats in which a batch can be uploaded. Each is read piece by piece: no upload is in memory as a whole."""

import csv
import json
from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import Any

from app.domain import batch_columns, json_text
from app.domain.batch_items import ItemCollector
from app.domain.errors import InvalidBatch, InvalidRequest
from app.domain.json_stream import JsonStream
from app.domain.json_text import RepeatedName, printable
from app.domain.upload_text import lines

JSON = "application/json"
ITEMS = "items"

Reader = Callable[[Iterable[str], int, ItemCollector], None]


def read_json(pieces: Iterable[str], longest: int, collector: ItemCollector, others: frozenset[str]) -> dict[str, Any]:
    """Collect the `items` of a JSON object; returns its other members, which must be among `others`.

    Items are numbered from 1. Raises InvalidJson, InvalidRequest, InvalidBatch.
    """
    stream = JsonStream(pieces, longest)
    found: dict[str, Any] = {}
    listed = False
    for name in stream.members():
        if name == ITEMS:
            listed = True
            for number, item in enumerate(stream.elements(), 1):
                collector.add(number, item)
        elif name in others:
            found[name] = stream.value()
        else:
            raise InvalidRequest(
                f"The body contains an unknown field: {printable(name)}. There are {', '.join(sorted({ITEMS, *others}))}."
            )
    if not listed:
        raise InvalidRequest('items is missing: it must be a list such as [{"prompt": "a red fox"}].')
    return {name: value for name, value in found.items() if value is not None}


def read_ndjson(pieces: Iterable[str], longest: int, collector: ItemCollector) -> None:
    """Collect a JSON object from each line that is not blank. Raises InvalidBatch."""
    for number, line in enumerate(lines(pieces, longest), 1):
        if not line or line.isspace():
            continue
        try:
            collector.add(number, json_text.decode(line))
        except RepeatedName as repeated:
            collector.reject(number, f"The item contains a field twice: {repeated.name}.")
        except RecursionError:
            collector.reject(number, "The item is nested too deeply.")
        except ValueError as error:
            where = f" (column {error.colno:,})" if isinstance(error, json.JSONDecodeError) else ""
            collector.reject(number, f"The line is not valid JSON{where}.")


def read_csv(pieces: Iterable[str], longest: int, collector: ItemCollector) -> None:
    """Collect an item from each row of a table (RFC 4180) whose header names fields. Raises InvalidBatch."""
    rows = _rows(pieces, longest)
    _, names = next(rows, (0, None))
    if names is None:
        raise InvalidBatch("The file is empty: its first row must name the columns, such as customId,prompt.")
    header = batch_columns.columns(names)
    for line, cells in rows:
        if len(cells) == len(header):
            collector.add(line, batch_columns.item(header, cells))
        else:
            collector.reject(
                line,
                f"The row has {len(cells):,} cells and the header {len(header):,}: put texts with commas in quotes.",
            )


def read_text(pieces: Iterable[str], longest: int, collector: ItemCollector) -> None:
    """Collect a prompt from each line that is not blank and does not begin with `#`. Raises InvalidBatch."""
    for number, line in enumerate(lines(pieces, longest), 1):
        prompt = line.strip()
        if prompt and not prompt.startswith("#"):
            collector.add(number, {"prompt": prompt})


READERS: Mapping[str, Reader] = {"application/x-ndjson": read_ndjson, "text/csv": read_csv, "text/plain": read_text}
TYPES = (JSON, *READERS)


def check_items(collector: ItemCollector, *, partial: bool) -> None:
    """Raises InvalidBatch if no item is valid, or if not all are and the batch is not to be made of a part of them."""
    if collector.rejected and not (partial and collector.items):
        raise InvalidBatch(
            f"{collector.rejected:,} of {collector.total:,} items are invalid, so nothing was accepted: see errors.",
            collector.errors,
        )
    if not collector.items:
        raise InvalidBatch("The batch has no items.")


def _rows(pieces: Iterable[str], longest: int) -> Iterator[tuple[int, list[str]]]:
    """The rows that are not blank, each with the number of its first line."""
    text = _RowText(pieces, longest)
    rows = csv.reader(text, strict=True)
    while True:
        first = text.begin_row()
        try:
            cells = next(rows, None)
        except csv.Error as error:
            raise InvalidBatch(f"The row that begins in line {first:,} cannot be read: {_meaning(error)}.") from None
        if cells is None:
            return
        if any(cell and not cell.isspace() for cell in cells):
            yield first, cells


class _RowText:
    """The lines of a table. A row, which may contain line breaks in quotes, is at most `longest` characters long."""

    def __init__(self, pieces: Iterable[str], longest: int) -> None:
        self._lines = lines(pieces, longest)
        self._longest = longest
        self._number = 0
        self._first = 1
        self._length = 0

    def begin_row(self) -> int:
        """The number of the line in which the next row begins."""
        self._first, self._length = self._number + 1, 0
        return self._first

    def __iter__(self) -> Iterator[str]:
        return self

    def __next__(self) -> str:
        line = next(self._lines) + "\n"
        self._number += 1
        self._length += len(line)
        if self._length > self._longest + 1:
            raise InvalidBatch(
                f"The row that begins in line {self._first:,} is longer than the {self._longest:,} characters that an item may have: "
                "is a quotation mark missing?"
            )
        return line


def _meaning(error: csv.Error) -> str:
    """What is wrong in a table, for those who wrote it."""
    text = str(error)
    if "unexpected end of data" in text:
        return "its last quotation mark is missing"
    if "expected after" in text:
        return "a cell goes on after its closing quotation mark; within quotes, write two for one"
    return "a cell is too long" if "field larger" in text else text
