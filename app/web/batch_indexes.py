"""The indexes of a batch's archive, each made piece by piece of the items' results: a table, JSON and a contact sheet."""

import csv
import io
from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import Any

from jinja2 import Template

from app.domain import json_text
from app.domain.spreadsheets import safe_cell
from app.web.api import json_text as model_text
from app.web.batch_result_schemas import BatchItemResult, ResultPicture

COLUMNS = (
    "index", "customId", "requestId", "status", "file", "problem", "prompt", "model", "seed", "width", "height", "bytes", "code",
    "error",
)  # fmt: skip
ITEMS_AT_ONCE = 50

Results = Iterable[BatchItemResult]
Index = Callable[[Results], Iterator[bytes]]


def json_index(head: Mapping[str, Any]) -> Index:
    """The fields of `head`, and the items as `items`, one a line."""

    def write(results: Results) -> Iterator[bytes]:
        yield json_text.encode(head)[:-1].encode() + b',"items":[\n'
        separator = b""
        for result in results:
            yield separator + model_text(result).encode()
            separator = b",\n"
        yield b"\n]}\n"

    return write


def jsonl(results: Results) -> Iterator[bytes]:
    """One JSON object a line for each item."""
    for result in results:
        yield model_text(result).encode() + b"\n"


def csv_index(results: Results) -> Iterator[bytes]:
    """A row for each picture, and for each item without one. Cells are no formulas; the mark at the beginning says UTF-8."""
    text = io.StringIO("\ufeff")
    text.seek(1)
    writer = csv.writer(text)
    writer.writerow(COLUMNS)
    for result in results:
        pictures: list[ResultPicture | None] = [*(result.images or ())] or [None]
        writer.writerows(map(safe_cell, _row(result, picture)) for picture in pictures)
        yield text.getvalue().encode()
        text.seek(0)
        text.truncate()
    yield text.getvalue().encode()


def contact_sheet(template: Template, **values: Any) -> Index:
    """A page with all pictures that works from the folder into which the archive was unpacked."""

    def write(results: Results) -> Iterator[bytes]:
        stream = template.stream(results=results, **values)
        stream.enable_buffering(ITEMS_AT_ONCE)
        for piece in stream:
            yield piece.encode()

    return write


def _row(result: BatchItemResult, picture: ResultPicture | None) -> list[object]:
    about: list[object] = (
        [None] * 5 if picture is None else [picture.file, picture.problem, picture.width, picture.height, picture.bytes]
    )
    file, problem, *size = about
    made = result.metadata
    return [
        result.index, result.custom_id, result.request_id, result.status.value, file, problem, made.prompt, made.model, made.seed,
        *size, result.code, result.error,
    ]  # fmt: skip
