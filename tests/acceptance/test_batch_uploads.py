"""Uploads and results of batches through the real server, which reads bodies at a pace and sends in chunks."""

from __future__ import annotations

import contextlib
import http.client
import json
from collections.abc import Iterable, Iterator
from itertools import repeat
from typing import Any
from urllib.parse import urlsplit

import pytest

from tests.support.service import Service


def send(service: Service, kind: str, pieces: Iterable[bytes], path: str = "/api/batches") -> tuple[int, Any]:
    """Post the pieces in chunks; returns the answer's status and body."""
    connection = http.client.HTTPConnection(urlsplit(service.url("/")).netloc, timeout=60)
    with contextlib.suppress(BrokenPipeError, ConnectionResetError):  # the server has answered and does not read on
        connection.request("POST", path, iter(pieces), {"Content-Type": kind}, encode_chunked=True)
    answer = connection.getresponse()
    body = json.loads(answer.read())
    connection.close()
    return answer.status, body


def table(rows: int) -> Iterator[bytes]:
    yield b"customId,prompt,param.width\r\n"
    for number in range(rows):
        yield b'page-%d,"a fox, number %d",64\r\n' % (number, number)


def test_a_table_in_many_small_chunks_becomes_a_batch_whose_results_are_streamed(service: Service) -> None:
    status, batch = send(service, "text/csv", table(500), "/api/batches?concurrency=1&model=unserved")
    assert (status, batch["counts"]["total"]) == (201, 500)
    connection = http.client.HTTPConnection(urlsplit(service.url("/")).netloc, timeout=60)
    connection.request("GET", f"/api/batches/{batch['batchId']}/results?format=jsonl")
    answer = connection.getresponse()
    assert answer.headers["Transfer-Encoding"] == "chunked"
    found = [json.loads(line) for line in answer.read().splitlines()]
    assert [each["customId"] for each in found] == [f"page-{n}" for n in range(500)]
    connection.request("POST", f"/api/batches/{batch['batchId']}/cancel")
    assert connection.getresponse().status == 200
    connection.close()


@pytest.mark.parametrize(
    ("kind", "pieces", "status"),
    [
        ("text/plain", repeat(b"x" * 65_536, 100), 400),
        ("application/json", [b'{"items": [{"prompt": "', *repeat(b"x" * 65_536, 100)], 400),
        ("text/plain", [b"# ", *repeat(b"#" * 65_535 + b"\n", 350)], 413),
    ],
    ids=["an endless line", "an endless text", "too many bytes"],
)
def test_an_upload_that_is_too_large_is_refused_while_it_is_sent(
    service: Service, kind: str, pieces: Iterable[bytes], status: int
) -> None:
    answered, problem = send(service, kind, pieces)
    assert (answered, problem["status"]) == (status, status)
