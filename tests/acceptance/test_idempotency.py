"""Submissions with an Idempotency-Key at two real web processes, on SQLite and on PostgreSQL."""

from __future__ import annotations

import json
import uuid
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest

from tests.support.raw import answer_to, connected
from tests.support.service import Answer, Service
from tests.support.waiting import until

GENERATE = "/api/images/generate"
COPIES = 64


@pytest.fixture(scope="module", params=["service", "service_on_postgres"])
def service(request: pytest.FixtureRequest) -> Service:
    """Two web processes on SQLite, then on PostgreSQL."""
    running: Service = request.getfixturevalue(request.param)
    return running


@pytest.fixture
def user(service: Service) -> Iterator[str]:
    """A user without requests; those that it makes are cancelled, since an extension of another test could get them."""
    user = f"user-{uuid.uuid4().hex}"
    yield user
    for made in listed(service, user):
        service.delete(f"/api/images/{made['requestId']}")


def submit(service: Service, user: str, web: int, prompt: str = "a red fox") -> Answer:
    return service.post(GENERATE, body(user, prompt), web, Idempotency_Key='"key-1"')


def body(user: str, prompt: str = "a red fox") -> dict[str, str]:
    return {"prompt": prompt, "userId": user, "model": "made-by-no-extension"}


def listed(service: Service, user: str) -> list[Any]:
    images: list[Any] = service.get(f"/api/images?userId={user}").json["images"]
    return images


def request_bytes(user: str, *headers: str) -> bytes:
    content = json.dumps(body(user)).encode()
    head = [
        f"POST {GENERATE} HTTP/1.1",
        "Host: localhost",
        "Connection: close",
        "Content-Type: application/json",
        f"Content-Length: {len(content)}",
        *headers,
    ]
    return ("\r\n".join(head) + "\r\n\r\n").encode("latin-1") + content


def test_a_submission_whose_answer_was_lost_is_accepted_once(service: Service, user: str) -> None:
    with connected(service.ports[0]) as sock:
        sock.sendall(request_bytes(user, 'Idempotency-Key: "key-1"'))
        # the connection breaks before anything is read
    [made] = until(lambda: listed(service, user), what="the request to be stored")
    for web in (1, 0):
        answer = submit(service, user, web)
        assert (answer.status, answer.json["requestId"]) == (200, made["requestId"])
        assert answer.headers["idempotency-replayed"] == "true"
        assert answer.json["timestamp"] == made["createdAt"]
    assert len(listed(service, user)) == 1


def test_copies_at_two_processes_at_the_same_time_are_accepted_once(service: Service, user: str) -> None:
    with ThreadPoolExecutor(COPIES) as pool:
        answers = list(pool.map(lambda n: submit(service, user, n % 2), range(COPIES)))
    assert {answer.status for answer in answers} == {200}
    assert len({answer.content for answer in answers}) == 1
    assert sum("idempotency-replayed" not in answer.headers for answer in answers) == 1
    assert len(listed(service, user)) == 1
    refused = submit(service, user, 1, prompt="two red foxes")
    assert (refused.status, refused.json["code"]) == (422, "ERR_IDEMPOTENCY_KEY_REUSED")


@pytest.mark.parametrize(
    ("headers", "status", "detail"),
    [
        (["Idempotency-Key:"], 400, "Idempotency-Key must be sent once"),
        (["Idempotency-Key: a", "Idempotency-Key: b"], 400, "Idempotency-Key must be sent once"),
        (['Idempotency-Key: "a"', 'Idempotency-Key: "a"'], 400, "Idempotency-Key must be sent once"),
        ([f"Idempotency-Key: {'k' * 8_000}"], 400, "Idempotency-Key must be sent once"),
        (["Idempotency-Key: cl\xe9"], 400, "Idempotency-Key must be sent once"),
        ([f"Idempotency-Key: {'k' * 10_240}"], 431, "The headers are too many or too long."),
        (["Idempotency-Key: a\x00b"], 400, "This is not a valid HTTP request."),
    ],
    ids=["empty", "two", "the same twice", "8 KB", "beyond ASCII", "10 KB", "a NUL"],
)
def test_an_invalid_key_is_refused(service: Service, user: str, headers: list[str], status: int, detail: str) -> None:
    answer = answer_to(service.ports[0], request_bytes(user, *headers))
    assert answer.startswith(f"HTTP/1.1 {status} ".encode())
    assert detail.encode() in answer
    assert listed(service, user) == []
