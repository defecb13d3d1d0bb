"""Uploads of batches over HTTP: content types, the query, what is refused and what is left out."""

from __future__ import annotations

import io
import json
import tracemalloc
from typing import Any

import pytest
from flask.testing import FlaskClient

from app import container
from app.container import Services
from app.db.batch_items import page
from app.db.jobs import Job
from app.domain.fair_queueing import Priority
from app.domain.styles import Style
from app.factory import create_app
from tests.support.fakes import Bench

BATCHES = "/api/batches"
NDJSON, CSV, TEXT, JSON = "application/x-ndjson", "text/csv", "text/plain", "application/json"
MIB = 2**20


def post(client: FlaskClient, kind: str | None, data: bytes, query: str = "", **headers: str) -> Any:
    return client.post(f"{BATCHES}{query}", data=data, content_type=kind, headers=headers)


def submitted(client: FlaskClient, services: Services, kind: str, data: bytes, query: str = "") -> list[Job]:
    """The requests that the upload became."""
    answer = post(client, kind, data, query)
    assert answer.status_code == 201, answer.text
    return services.ports.database.read(lambda c: page(c, answer.json["batchId"], None, 0, 100))


@pytest.fixture
def small(bench: Bench) -> FlaskClient:
    """A client of an application that takes 3 items or 2,000 bytes."""
    services = container.build(bench.with_settings(batch_max_items=3, batch_max_bytes=2_000).ports)
    return create_app(services.settings, services).test_client()


@pytest.mark.parametrize(
    ("kind", "data"),
    [
        (JSON, b'{"items": [{"customId": "a", "prompt": "fox", "parameters": {"width": 64}}, {"prompt": "crow"}]}'),
        (NDJSON, b'{"customId": "a", "prompt": "fox", "parameters": {"width": 64}}\r\n{"prompt": "crow"}'),
        (CSV, b"\xef\xbb\xbfprompt,customId,param.width\r\nfox,a,64\r\ncrow,,\r\n"),
    ],
    ids=["json", "ndjson", "csv"],
)
def test_every_format_makes_the_same_batch(client: FlaskClient, services: Services, kind: str, data: bytes) -> None:
    found = submitted(client, services, kind, data)
    assert [(job.prompt, job.custom_id, job.parameters) for job in found] == [
        ("fox", "a", {"width": 64}),
        ("crow", None, {}),
    ]


def test_a_text_is_a_batch_of_its_lines(client: FlaskClient, services: Services) -> None:
    found = submitted(client, services, "text/plain; charset=UTF-8", b"# animals\nfox\n\ncrow\n")
    assert [(job.batch_index, job.prompt) for job in found] == [(1, "fox"), (2, "crow")]


QUERY = "?name=zoo&concurrency=1&model=flux-2&style=ink&priority=low&param.width=64&param.hd=true&var.tone=red"


@pytest.mark.parametrize("kind", [TEXT, JSON])
def test_what_the_body_does_not_say_may_be_in_the_query(client: FlaskClient, services: Services, kind: str) -> None:
    services.styles.create("ann", Style("ink", "{prompt} in {tone}", {"tone": None}))
    data = b"fox" if kind == TEXT else b'{"items": [{"prompt": "fox"}]}'
    answer = post(client, kind, data, f"{QUERY}&userId=ann")
    assert (answer.status_code, answer.json.get("name"), answer.json.get("concurrency")) == (201, "zoo", 1), answer.text
    [job] = services.ports.database.read(lambda c: page(c, answer.json["batchId"], None, 0, 9))
    assert (job.user_id, job.prompt, job.model, job.priority) == ("ann", "fox in red", "flux-2", Priority.LOW)
    assert job.parameters == {"width": 64, "hd": True}


@pytest.mark.parametrize("kind", [TEXT, JSON])
def test_the_address_of_a_webhook_may_be_in_the_query(client: FlaskClient, kind: str) -> None:
    data = b"fox" if kind == TEXT else b'{"items": [{"prompt": "fox"}]}'
    answer = post(client, kind, data, "?webhook=https://shop.example/hooks")
    assert answer.status_code == 201, answer.text
    [found] = client.get(f"/api/webhooks?requestId={answer.json['batchId']}").json["webhooks"]
    assert (found["url"], "image.progress" in found["events"]) == ("https://shop.example/hooks", False)


def test_the_body_comes_before_the_query(client: FlaskClient, services: Services) -> None:
    body = {"name": "body", "items": [{"prompt": "fox"}], "defaults": {"model": "flux-2", "priority": None}}
    answer = post(client, JSON, json.dumps(body).encode(), "?name=query&model=other&priority=low")
    assert answer.json["name"] == "body"
    [job] = services.ports.database.read(lambda c: page(c, answer.json["batchId"], None, 0, 9))
    assert (job.model, job.priority) == ("flux-2", Priority.LOW)


@pytest.mark.parametrize(
    ("query", "reason"),
    [
        ("?width=64", "width. Use param.width."),
        ("?lens=wide", "unknown field: lens. There are cache, concurrency"),
        ("?param.=1", "unknown field: param."),
        ("?concurrency=many", "concurrency must be"),
        ("?concurrency=0", "concurrency must be"),
        ("?priority=urgent", "priority must be one of"),
        ("?param.width=1", "parameters.width"),
        ("?var.1=a", "variables"),
        ("?partial=maybe", "partial"),
        ("?webhook=shop", "webhook.url"),
        ("?style=%ED%A0%80", "style"),
        (f"?{'k' * 10_000}=1", "unknown field"),
    ],
)
def test_a_wrong_query_is_refused_by_the_name_of_the_field(client: FlaskClient, query: str, reason: str) -> None:
    answer = post(client, TEXT, b"fox", query)
    assert answer.status_code == 400
    assert reason in answer.json["detail"]


def test_a_wrong_query_is_refused_even_if_the_body_says_it_too(client: FlaskClient) -> None:
    body = json.dumps({"name": "zoo", "items": [{"prompt": "fox"}], "defaults": {"priority": "low"}}).encode()
    for query, reason in (("?name=%00", "name"), ("?priority=urgent", "priority must be one of")):
        answer = post(client, JSON, body, query)
        assert answer.status_code == 400
        assert reason in answer.json["detail"]


@pytest.mark.parametrize(
    "kind",
    [
        None,
        "application/xml",
        "multipart/form-data",
        "application/x-www-form-urlencoded",
        "text/html",
        "application/jsonl",
    ],
)
def test_another_content_type_is_refused_with_those_that_are_taken(client: FlaskClient, kind: str | None) -> None:
    answer = post(client, kind, b'{"items": []}')
    assert (answer.status_code, answer.json["code"]) == (415, "ERR_UNSUPPORTED_MEDIA_TYPE")
    assert all(each in answer.json["detail"] for each in (JSON, NDJSON, CSV, TEXT))


@pytest.mark.parametrize(
    ("kind", "encoding", "named"), [("text/csv; charset=iso-8859-1", "", "iso-8859-1"), (CSV, "gzip", "gzip")]
)
def test_another_encoding_is_refused_by_name(client: FlaskClient, kind: str, encoding: str, named: str) -> None:
    answer = post(client, kind, b"prompt\na", **{"Content-Encoding": encoding})
    assert answer.status_code == 415
    assert named in answer.json["detail"]


def test_all_that_is_wrong_is_answered_together_and_nothing_is_stored(client: FlaskClient) -> None:
    answer = post(client, CSV, b"customId,prompt,param.width\na,fox,64\na,,64\nb,crow,wide\n")
    assert (answer.status_code, answer.json["code"]) == (400, "ERR_INVALID_BATCH")
    assert answer.json["detail"].startswith("2 of 3 items are invalid")
    assert [(each["line"], each.get("customId"), each["field"]) for each in answer.json["errors"]] == [
        (3, "a", "prompt"),
        (3, "a", "customId"),
        (4, "b", "parameters.width"),
    ]
    assert client.get(BATCHES).json["batches"] == []


def test_a_part_is_taken_if_that_is_wanted_and_the_rest_is_listed(client: FlaskClient, services: Services) -> None:
    services.styles.create("cli-user", Style("ink", "{prompt}, {tone}", {"tone": None}))
    lines = [
        {"prompt": "fox", "variables": {"tone": "red"}},
        {"prompt": "crow"},
        {"prompt": 7},
        {"prompt": "owl", "customId": "owl", "variables": {"tone": "grey"}},
    ]
    data = "\n".join(map(json.dumps, lines)).encode()
    answer = post(client, NDJSON, data, "?partial=true&style=ink")
    assert (answer.status_code, answer.json["counts"]["total"], answer.json["leftOut"]) == (201, 2, 2)
    assert [(each["line"], each["field"]) for each in answer.json["errors"]] == [(2, "variables"), (3, "prompt")]
    assert post(client, NDJSON, data, "?style=ink").status_code == 400


def test_only_the_first_hundred_errors_are_listed_and_all_are_counted(client: FlaskClient) -> None:
    answer = post(client, TEXT, b"a\x01b\n" * 250 + b"fox\n", "?partial=true")
    assert (len(answer.json["errors"]), answer.json["leftOut"], answer.json["counts"]["total"]) == (100, 250, 1)


def test_nothing_is_taken_of_an_upload_that_cannot_be_read_to_its_end(client: FlaskClient) -> None:
    answer = post(client, CSV, b'prompt\nfox\n"crow\n', "?partial=true")
    assert (answer.status_code, answer.json["code"]) == (400, "ERR_INVALID_BATCH")
    assert client.get(BATCHES).json["batches"] == []


def test_items_of_any_format_are_added_to_a_batch(client: FlaskClient, services: Services) -> None:
    batch = post(client, TEXT, b"fox").json["batchId"]
    path = f"/{batch}/items"
    answer = post(client, CSV, b"prompt,customId\ncrow,c\nowl,o\n", path)
    assert (answer.status_code, answer.json["counts"]["total"]) == (200, 3)
    answer = post(client, NDJSON, b'{"prompt": "bat"}\n7\n', f"{path}?partial=true")
    assert (answer.json["counts"]["total"], answer.json["leftOut"], answer.json["errors"][0]["line"]) == (4, 1, 2)
    assert post(client, TEXT, b"bat", f"{path}?model=other").status_code == 400


def test_a_batch_of_too_many_items_is_refused(small: FlaskClient) -> None:
    answer = post(small, TEXT, b"a\n" * 4)
    assert (answer.status_code, "more than 3 items" in answer.json["detail"]) == (400, True)


@pytest.mark.parametrize("chunked", [False, True], ids=["Content-Length", "chunked"])
@pytest.mark.parametrize("kind", [JSON, TEXT])
def test_a_body_that_is_too_large_is_refused_with_the_limit(small: FlaskClient, kind: str, chunked: bool) -> None:
    data = b'{"items": [{"prompt": "a"}' + b" " * 2_000 + b"]}" if kind == JSON else b"# " + b"a" * 2_000
    environ = {"wsgi.input": io.BytesIO(data), "wsgi.input_terminated": True, "CONTENT_TYPE": kind}
    answer = small.post(BATCHES, environ_overrides=environ) if chunked else post(small, kind, data)
    assert (answer.status_code, answer.json["code"]) == (413, "ERR_PAYLOAD_TOO_LARGE")
    assert "2,000 bytes" in answer.json["detail"]


def test_a_batch_may_be_larger_than_other_bodies(client: FlaskClient, services: Services) -> None:
    line = b"x" * 7_000 + b"\n"
    count = 2 * services.settings.max_body_bytes // len(line)
    assert post(client, TEXT, line * count).json["counts"]["total"] == count
    assert client.post("/api/images/generate", data=line * count, content_type=JSON).status_code == 413


class Endless(io.RawIOBase):
    """A body of 2 GiB that is made as it is read."""

    def __init__(self, beginning: bytes) -> None:
        self.left = 2**31
        self._beginning = beginning

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int:
        size = min(len(buffer), self.left)
        beginning, self._beginning = self._beginning[:size], self._beginning[size:]
        buffer[:size] = beginning.ljust(size, b"x")
        self.left -= size
        return size


@pytest.mark.parametrize(
    ("kind", "beginning"),
    [(JSON, b'{"items": [{"prompt": "'), (NDJSON, b'{"prompt": "'), (CSV, b'prompt\n"'), (TEXT, b"")],
)
def test_a_line_of_two_gigabytes_is_refused_early_in_little_memory(
    client: FlaskClient, kind: str, beginning: bytes
) -> None:
    body = Endless(beginning)
    environ = {"wsgi.input": body, "wsgi.input_terminated": True, "CONTENT_TYPE": kind}
    tracemalloc.start()
    try:
        answer: Any = client.post(BATCHES, environ_overrides=environ)
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert answer.status_code == 400
    assert "131,072 characters" in answer.json["detail"]
    assert 2**31 - body.left < MIB
    assert peak < 4 * MIB


def test_a_batch_that_is_sent_again_in_another_format_is_the_same(client: FlaskClient) -> None:
    key = {"Idempotency-Key": "key-1"}
    first = post(client, NDJSON, b'{"prompt": "fox", "customId": "a"}\n', "?name=zoo", **key)
    for kind, data, query in [
        (NDJSON, b'\n{"customId":"a","prompt":"fox","model":null}', "?name=zoo"),
        (CSV, b"customId,prompt\na,fox\n", "?name=zoo"),
        (JSON, b'{"name": "zoo", "items": [{"customId": "a", "prompt": "fox"}]}', ""),
    ]:
        again = post(client, kind, data, query, **key)
        assert (again.status_code, again.headers["Idempotency-Replayed"]) == (201, "true")
        assert again.json == first.json


@pytest.mark.parametrize(
    ("kind", "data", "query"),
    [
        (CSV, b"customId,prompt\na,crow\n", "?name=zoo"),
        (CSV, b"customId,prompt\nb,fox\n", "?name=zoo"),
        (CSV, b"customId,prompt\na,fox\nb,fox\n", "?name=zoo"),
        (CSV, b"customId,prompt\na,fox\n", "?name=farm"),
        (CSV, b"customId,prompt\na,fox\n", "?name=zoo&model=flux-2"),
        (CSV, b"customId,prompt,param.width\na,fox,64\n", "?name=zoo"),
        (CSV, b"customId,prompt\na,fox\n,\x01\n", "?name=zoo&partial=true"),
    ],
)
def test_another_batch_with_the_same_key_is_refused(client: FlaskClient, kind: str, data: bytes, query: str) -> None:
    key = {"Idempotency-Key": "key-1"}
    assert post(client, NDJSON, b'{"prompt": "fox", "customId": "a"}\n', "?name=zoo", **key).status_code == 201
    assert post(client, kind, data, query, **key).status_code == 422
