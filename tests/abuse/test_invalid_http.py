"""Invalid HTTP, against a real gunicorn: the response is a problem with the usual headers."""

from __future__ import annotations

import json

import pytest

from app.web.default_headers import HEADERS
from app.web.schemas import Problem
from tests.support.raw import answer_to, get
from tests.support.service import Service

STRANGE = {
    "nonsense": (b"nonsense\r\n\r\n", 400),
    "another protocol": (b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03\r\n\r\n", 400),
    "a version that is none": (get("/").replace(b"HTTP/1.1", b"HTTP/9.9"), 400),
    "a header whose name is none": (get("/", "Bad Name: canary4711"), 400),
    "lengths that contradict each other": (get("/", "Content-Length: 4", "Content-Length: 5"), 400),
    "a first line without end": (get("/" + "a" * 9000), 414),
    "a header without end": (get("/", "X-Long: " + "a" * 9000), 431),
    "too many headers": (get("/", *(f"X-{n}: canary4711" for n in range(100))), 431),
    "a coding that nobody knows": (get("/", "Transfer-Encoding: canary4711"), 501),
    "an expectation that nobody knows": (get("/", "Expect: canary4711"), 417),
}


@pytest.mark.parametrize("name", STRANGE)
def test_it_is_answered_with_a_problem_and_all_headers(service: Service, name: str) -> None:
    request, status = STRANGE[name]
    head, _, body = answer_to(service.ports[0], request).partition(b"\r\n\r\n")
    line, *rest = head.decode("ascii").split("\r\n")
    headers = dict(each.split(": ", 1) for each in rest)
    assert int(line.split(" ")[1]) == status
    assert headers.items() >= HEADERS.items()
    assert headers["Content-Type"] == "application/problem+json"
    problem = Problem.model_validate(json.loads(body))
    assert problem.status == status
    assert problem.correlation_id == headers["X-Correlation-Id"]
    assert b"canary" not in head + body
    assert problem.correlation_id in service.log("web0")
    assert "canary" not in service.log("web0")
