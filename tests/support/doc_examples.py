"""The examples of a page in `docs/`: requests in blocks marked `http`, each followed by its answer in one marked `json`.

A request is written as in a `.http` file: method and path, headers, an empty line, the body. An answer shows some of the fields,
`…` stands for any value; of an answer of several lines it is the first. `REQUEST_ID` in a request is the `requestId` of the last
answer that had one, `BATCH_ID` its `batchId`, `WEBHOOK_ID` its `webhookId`.
Between examples, `<!-- an extension makes the pictures -->` has an extension do what waits.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from typing import Any

from flask.testing import FlaskClient
from werkzeug.test import TestResponse

DOCS = Path(__file__).parents[2] / "docs"
BLOCK = re.compile(r"^```(\w+)\n(.*?)^```$|^<!-- (an extension makes the pictures) -->$", re.MULTILINE | re.DOTALL)
ANYTHING = "…"


@dataclass(frozen=True)
class Example:
    """A request, and the fields of its answer that the page shows. `makes` if an extension works before it."""

    request: str
    answer: dict[str, Any]
    makes: bool


def pages() -> list[str]:
    """The names of the pages with examples."""
    return sorted(path.name for path in DOCS.glob("*.md") if list(examples(path.name)))


def blocks(page: str) -> list[tuple[str, str, str]]:
    """The blocks of code of a page, each with its kind, and the markers between them."""
    return BLOCK.findall((DOCS / page).read_text("utf-8"))


def examples(page: str) -> Iterator[Example]:
    """The examples of a page, in order."""
    makes = False
    for (kind, text, marker), (next_kind, next_text, _) in pairwise([*blocks(page), ("", "", "")]):
        makes = makes or bool(marker)
        if kind == "http":
            yield Example(text, json.loads(next_text) if next_kind == "json" else {}, makes)
            makes = False


def run(client: FlaskClient, page: str, make_pictures: Callable[[], object]) -> None:
    """Send the requests of a page one after the other; an answer that is not as shown is an AssertionError."""
    ids = dict.fromkeys(("requestId", "batchId", "webhookId"), "none-was-made-yet")
    for example in examples(page):
        if example.makes:
            make_pictures()
        answer = _send(client, _filled(example.request, ids))
        found: Any = json.loads(
            answer.text.partition("\n")[0] if "ndjson" in answer.content_type else answer.text or "{}"
        )
        problem = isinstance(example.answer.get("status"), int)  # that of a request is a word
        assert problem or answer.status_code < 300, answer.text
        _compare(example.answer, found, page)
        ids = {name: found.get(name, known) for name, known in ids.items()}


def _filled(request: str, ids: Mapping[str, str]) -> str:
    """The request with the ids of the last answers; `requestId` is written as REQUEST_ID."""
    for name, value in ids.items():
        request = request.replace(f"{name.removesuffix('Id').upper()}_ID", value)
    return request


def _send(client: FlaskClient, text: str) -> TestResponse:
    head, _, body = text.strip().partition("\n\n")
    first, *lines = head.splitlines()
    method, path = first.split(" ", 1)
    headers = dict(line.split(": ", 1) for line in lines)
    return client.open(path, method=method, headers=headers, data=body.encode())


def _compare(shown: Any, found: Any, where: str) -> None:
    if shown == ANYTHING:
        return
    if isinstance(shown, dict):
        assert isinstance(found, dict), (where, found)
        for name, value in shown.items():
            assert name in found, (where, name, found)
            _compare(value, found[name], f"{where} {name}")
    elif isinstance(shown, list):
        assert isinstance(found, list), (where, found)
        assert len(found) == len(shown), (where, found)
        for number, value in enumerate(shown):
            _compare(value, found[number], f"{where} [{number}]")
    else:
        assert found == shown, where
