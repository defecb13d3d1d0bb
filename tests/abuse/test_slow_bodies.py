"""Request bodies that arrive byte by byte, against a real gunicorn without a proxy: each is ended with a response."""

from __future__ import annotations

import json
import socket
import time
from collections.abc import Iterator

import pytest

from tests.support.pictures import plain
from tests.support.raw import connected, get
from tests.support.service import Service

LONGEST_S = 60.0  # much longer than the timeout of the service, much shorter than forever
JSON = ("Content-Type: application/json", "Connection: keep-alive")


def post(target: str, *headers: str, method: str = "POST") -> bytes:
    """The head of a POST request that asks to keep the connection open."""
    head = get(target, *headers).replace(b"Connection: close\r\n", b"")
    return head.replace(b"GET", method.encode(), 1)


def response_while_sending(sock: socket.socket, drop: bytes) -> bytes:
    """Send `drop` again and again until the response is complete, and return it."""
    received = b""
    sock.settimeout(0.2)
    ends = time.monotonic() + LONGEST_S
    while time.monotonic() < ends:
        try:
            if not received:
                sock.sendall(drop)
            piece = sock.recv(65_536)
        except TimeoutError:
            continue
        except ConnectionError:
            return received
        if not piece:
            return received
        received += piece
    pytest.fail(f"it was not refused within {LONGEST_S:g} s; {received!r} was received")


def check_refused(answer: bytes) -> None:
    head, _, body = answer.partition(b"\r\n\r\n")
    assert head.startswith(b"HTTP/1.1 408 ")
    assert b"connection: close" in head.lower()
    assert json.loads(body)["code"] == "ERR_BODY_TOO_SLOW"


@pytest.fixture
def dripping(service: Service) -> Iterator[socket.socket]:
    with connected(service.ports[0]) as sock:
        yield sock


def test_a_slow_body_is_refused_and_the_connection_closed(service: Service, dripping: socket.socket) -> None:
    dripping.sendall(post("/api/images/generate", *JSON, "Content-Length: 5000") + b'{"prompt": "')
    check_refused(response_while_sending(dripping, b"x"))


def test_a_slow_chunked_body_is_refused_and_the_connection_closed(dripping: socket.socket) -> None:
    dripping.sendall(post("/api/images/generate", *JSON, "Transfer-Encoding: chunked"))
    check_refused(response_while_sending(dripping, b"1\r\n \r\n"))


def test_a_slow_upload_is_refused_and_can_be_repeated(service: Service, dripping: socket.socket) -> None:
    request_id = service.submit(model="dripped")
    with service.extension("dripper", "dripped") as extension:
        job = extension.next_job()
        target = job["upload"]["url"].removeprefix(service.url()) + "&position=0"
        dripping.sendall(post(target, "Content-Length: 1000000", "Connection: keep-alive", method="PUT"))
        check_refused(response_while_sending(dripping, b"x"))
        extension.upload(job, plain())
        service.delete(f"/api/images/{request_id}")


def test_an_unread_body_does_not_keep_the_connection_open(dripping: socket.socket) -> None:
    dripping.sendall(post("/nowhere", "Content-Length: 5000", "Connection: keep-alive"))
    assert response_while_sending(dripping, b"x").startswith(b"HTTP/1.1 404 ")


def test_a_body_with_invalid_chunks_is_answered_with_400(dripping: socket.socket) -> None:
    dripping.sendall(post("/api/images/generate", *JSON, "Transfer-Encoding: chunked") + b"canary\r\n")
    answer = response_while_sending(dripping, b"")
    assert answer.startswith(b"HTTP/1.1 400 ")
    assert b"ERR_INVALID_REQUEST" in answer
    assert b"canary" not in answer
