"""Bodies that drip, for ever if they were let, against a real gunicorn without a proxy: each is ended with an answer."""

from __future__ import annotations

import json
import socket
import time
from collections.abc import Iterator

import pytest

from tests.support.raw import connected, get
from tests.support.service import Service

LONGEST_S = 60.0  # far more than the patience of the service, far less than for ever
JSON = ("Content-Type: application/json", "Connection: keep-alive")


def post(target: str, *headers: str, method: str = "POST") -> bytes:
    """The head of one, which asks that the connection be kept."""
    head = get(target, *headers).replace(b"Connection: close\r\n", b"")
    return head.replace(b"GET", method.encode(), 1)


def answered_while_dripping(sock: socket.socket, drop: bytes) -> bytes:
    """What comes back, up to its end, to somebody who sends a drop every little while."""
    said = b""
    sock.settimeout(0.2)
    ends = time.monotonic() + LONGEST_S
    while time.monotonic() < ends:
        try:
            if not said:
                sock.sendall(drop)
            piece = sock.recv(65_536)
        except TimeoutError:
            continue
        except ConnectionError:
            return said
        if not piece:
            return said
        said += piece
    pytest.fail(f"it could drip for {LONGEST_S:g} s; {said!r} was answered")


def check_refused(answer: bytes) -> None:
    head, _, body = answer.partition(b"\r\n\r\n")
    assert head.startswith(b"HTTP/1.1 408 ")
    assert b"connection: close" in head.lower()
    assert json.loads(body)["code"] == "ERR_BODY_TOO_SLOW"


@pytest.fixture
def dripping(service: Service) -> Iterator[socket.socket]:
    with connected(service.ports[0]) as sock:
        yield sock


def test_a_body_that_drips_is_refused_and_the_connection_closed(service: Service, dripping: socket.socket) -> None:
    dripping.sendall(post("/api/images/generate", *JSON, "Content-Length: 5000") + b'{"prompt": "')
    check_refused(answered_while_dripping(dripping, b"x"))


def test_so_is_one_in_chunks(dripping: socket.socket) -> None:
    dripping.sendall(post("/api/images/generate", *JSON, "Transfer-Encoding: chunked"))
    check_refused(answered_while_dripping(dripping, b"1\r\n \r\n"))


def test_an_upload_that_drips_is_refused_and_may_be_sent_again(service: Service, dripping: socket.socket) -> None:
    request_id = service.submit(model="dripped")
    with service.extension("dripper", "dripped") as extension:
        job = extension.next_job()
        target = job["upload"]["url"].removeprefix(service.url()) + "&position=0"
        dripping.sendall(post(target, "Content-Length: 1000000", "Connection: keep-alive", method="PUT"))
        check_refused(answered_while_dripping(dripping, b"x"))
        extension.upload(job, b"the whole of it")
        service.delete(f"/api/images/{request_id}")


def test_a_body_that_nobody_reads_does_not_keep_the_connection(dripping: socket.socket) -> None:
    dripping.sendall(post("/nowhere", "Content-Length: 5000", "Connection: keep-alive"))
    assert answered_while_dripping(dripping, b"x").startswith(b"HTTP/1.1 404 ")


def test_a_body_in_broken_chunks_is_the_senders_mistake(dripping: socket.socket) -> None:
    dripping.sendall(post("/api/images/generate", *JSON, "Transfer-Encoding: chunked") + b"canary\r\n")
    answer = answered_while_dripping(dripping, b"")
    assert answer.startswith(b"HTTP/1.1 400 ")
    assert b"ERR_INVALID_REQUEST" in answer
    assert b"canary" not in answer
