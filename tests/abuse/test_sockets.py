"""Sockets that break the protocol, stop half way or never stop, against a real gunicorn: other clients are not affected."""

from __future__ import annotations

import json
import socket
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack

import pytest

from tests.support.raw import BINARY, CLOSE, PING, PONG, TEXT, connected, frame, get, shake_hands, until_closed
from tests.support.service import Service

HELLO = json.dumps(
    {"type": "authenticate", "extensionId": "abuser", "metadata": {"capabilities": ["nothing"]}}
).encode()

BROKEN = {
    "a frame that is never finished": frame(TEXT, b"x" * 10, claims=1000),
    "a head without its length": frame(TEXT, b"", claims=70_000)[:4],
    "a message that never ends": frame(TEXT, b"{", fin=False) + frame(0, b"x", fin=False) * 200,
    "a frame that claims 2^62 bytes": frame(TEXT, b"x" * 100, claims=2**62),
    "a length with its top bit set": frame(TEXT, b"x", claims=2**63),
    "a frame without a mask": frame(TEXT, HELLO, masked=False),
    "text that is not UTF-8": frame(TEXT, b'{"type": "\xff\xfe"}'),
    "UTF-8 that breaks off": frame(TEXT, "é".encode()[:1]),
    "a close with a code that nobody has": frame(CLOSE, (999).to_bytes(2, "big")),
    "a close with a code that is never sent": frame(CLOSE, (1006).to_bytes(2, "big")),
    "a close with half a code": frame(CLOSE, b"\x03"),
    "a close whose reason is not UTF-8": frame(CLOSE, (1000).to_bytes(2, "big") + b"\xff"),
    "a ping that is too long": frame(PING, b"x" * 126),
    "a ping in pieces": frame(PING, b"x", fin=False),
    "an opcode that does not exist": frame(3, b"x"),
    "reserved bits": bytes([0x80 | 0x70 | TEXT]) + frame(TEXT, b"x")[1:],
    "a continuation of nothing": frame(0, b"x"),
    "a message inside of another": frame(TEXT, b"a", fin=False) + frame(TEXT, b"b"),
    "a flood of pings": frame(PING, b"flood") * 20_000,
    "a flood of pongs": frame(PONG, b"flood") * 20_000,
    "binary rubbish": frame(BINARY, bytes(range(256))),
    "HTTP again": get("/health"),
}


def well(service: Service) -> None:
    """Assert that other clients are served: an HTTP request, and an extension that authenticates."""
    assert service.get("/health").status == 200
    with service.extension("honest", "nothing") as honest:
        honest.send_heartbeat()
        honest.receive("heartbeat_response")


@pytest.mark.parametrize("name", BROKEN)
def test_only_the_socket_that_breaks_the_protocol_is_closed(service: Service, name: str) -> None:
    with connected(service.ports[0]) as sock:
        assert b" 101 " in shake_hands(sock)
        sock.sendall(BROKEN[name])
        well(service)
        until_closed(sock)  # at the latest after the authentication timeout
    well(service)


def test_an_endless_fragmented_message_is_cut_off_at_the_limit(service: Service) -> None:
    with connected(service.ports[0]) as sock:
        shake_hands(sock)
        sock.sendall(frame(TEXT, HELLO) + frame(TEXT, b"{", fin=False))
        try:
            for _ in range(64):
                sock.sendall(frame(0, b"x" * 65_536, fin=False))
        except ConnectionError:
            return  # the server has closed the connection already
        assert (1009).to_bytes(2, "big") in until_closed(sock)
    well(service)


def half_a_request(sock: socket.socket) -> None:
    sock.sendall(b"GET /health HTTP/1.1\r\nHost: localhost\r\nX-Slow: ")


def half_a_handshake(sock: socket.socket) -> None:
    sock.sendall(get("/ws", "Upgrade: websocket")[:-2])


def half_a_body(sock: socket.socket) -> None:
    head = "POST /api/images/generate HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\nContent-Length: 5000"
    sock.sendall(head.encode() + b'\r\n\r\n{"prompt": "')


def nothing(sock: socket.socket) -> None:
    """A connection on which nothing is sent."""


def half_closed(sock: socket.socket) -> None:
    shake_hands(sock)
    sock.shutdown(socket.SHUT_WR)


@pytest.mark.parametrize("begin", [half_a_request, half_a_handshake, half_a_body, nothing, half_closed])
def test_two_hundred_unfinished_requests_do_not_delay_others(
    service: Service, begin: Callable[[socket.socket], None]
) -> None:
    with ExitStack() as stack:
        slow: list[socket.socket] = []
        for _ in range(200):
            slow.append(stack.enter_context(connected(service.ports[0])))
            begin(slow[-1])  # at once, because the server closes a silent connection after 5 s
        well(service)
        until_closed(slow[0])
    well(service)


@pytest.fixture
def dripping(service: Service) -> Iterator[socket.socket]:
    with connected(service.ports[0]) as sock:
        yield sock


def test_a_request_head_that_arrives_byte_by_byte_is_cut_off(dripping: socket.socket) -> None:
    dripping.sendall(b"GET /health HTTP/1.1\r\nHost: localhost\r\nX-Slow: ")
    dripping.settimeout(0.2)
    ends = time.monotonic() + 30
    while time.monotonic() < ends:
        try:
            dripping.sendall(b"x")
            if not dripping.recv(1):
                return
        except TimeoutError:
            continue
        except ConnectionError:
            return
    pytest.fail("a head could drip for 30 s")


@pytest.mark.parametrize(
    "origin",
    ["https://evil.example", "null", "chrome-extension://short", "http://localhost.evil.example", "file://", ""],
)
def test_a_page_of_a_foreign_origin_cannot_open_a_socket(service: Service, origin: str) -> None:
    with connected(service.ports[0]) as sock:
        assert b" 403 " in shake_hands(sock, f"Origin: {origin}").split(b"\r\n")[0]


@pytest.mark.parametrize("origin", ["chrome-extension://" + "abcdefghijklmnop" * 2, "http://localhost", None])
def test_an_extension_or_a_client_that_is_no_browser_can_open_a_socket(service: Service, origin: str | None) -> None:
    with connected(service.ports[0]) as sock:
        assert b" 101 " in shake_hands(sock, *([f"Origin: {origin}"] if origin else []))


@pytest.mark.parametrize("host", ["", "a..localhost", ".", "x" * 64, "\xe9.example", "localhost\x0b"])
def test_a_handshake_whose_host_cannot_be_read_is_refused(service: Service, host: str) -> None:
    with connected(service.ports[0]) as sock:
        head = shake_hands(sock, host=host)
        assert b" 400 " in head.split(b"\r\n")[0]
    assert "Traceback" not in service.log("web0")


@pytest.mark.parametrize(
    "header",
    [
        "Sec-WebSocket-Protocol: \xe9",
        "Sec-WebSocket-Protocol: imagefleet, \xff\xfe",
        "Sec-WebSocket-Protocol: a\x0bb",
        "Sec-WebSocket-Key: \xe9",
        "Connection: Upgrade, \xe9",
        "Upgrade: websocket\xe9",
        "X-Other: a\x0cb",
        "Cookie: \x01",
        "User-Agent: \x7f",
    ],
)
def test_a_handshake_with_a_header_that_cannot_be_read_is_refused(service: Service, header: str) -> None:
    with connected(service.ports[0]) as sock:
        head = shake_hands(sock, header)
        assert head.split(b" ")[1] in {b"400", b"404"}
    assert "Traceback" not in service.log("web0")


@pytest.mark.parametrize("header", ["Cookie: name=\xe9", "Sec-WebSocket-Extensions: \xe9", "X-Other: \xff"])
def test_other_headers_of_a_handshake_may_contain_any_letters(service: Service, header: str) -> None:
    with connected(service.ports[0]) as sock:
        assert b" 101 " in shake_hands(sock, header)
