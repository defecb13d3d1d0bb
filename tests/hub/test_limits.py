"""Limits on the number of sockets and on their messages, with real sockets."""

from __future__ import annotations

import json
import shutil
import threading
import time
from collections.abc import Iterator
from contextlib import ExitStack, closing, suppress
from http.client import HTTPConnection
from pathlib import Path
from typing import Any

import pytest
import websocket

from app.domain.close_codes import CloseCode
from tests.support.extension import Extension
from tests.support.service import Service, running_service
from tests.support.waiting import until


@pytest.fixture(scope="module")
def limited(tmp_path_factory: pytest.TempPathFactory, migrated_sqlite_file: Path, redis_url: str) -> Iterator[Service]:
    """One web process with low limits."""
    folder = tmp_path_factory.mktemp("limited")
    database = shutil.copyfile(migrated_sqlite_file, folder / "imagefleet.db")
    limits: dict[str, Any] = {
        "MAX_SOCKETS": "8",
        "MAX_SOCKETS_PER_ADDRESS": "6",
        "MAX_UNAUTHENTICATED_SOCKETS": "8",
        "MAX_SOCKET_MESSAGES_PER_S": "20",
        "MAX_BAD_MESSAGES": "5",
        "AUTHENTICATION_TIMEOUT_MS": "1500",
    }
    with running_service(folder, f"sqlite:///{database}", redis_url, webs=1, workers=0, **limits) as service:
        yield service


def handshake(service: Service) -> tuple[int, dict[str, str], Any]:
    """The HTTP response to a WebSocket handshake."""
    with closing(HTTPConnection("127.0.0.1", service.ports[0], timeout=10)) as http:
        headers = {
            "Upgrade": "websocket",
            "Connection": "Upgrade",
            "Sec-WebSocket-Version": "13",
            "Sec-WebSocket-Key": "dGhlIHNhbXBsZSBub25jZQ==",
        }
        http.request("GET", "/ws", headers=headers)
        answer = http.getresponse()
        body = json.load(answer) if answer.status != 101 else None
        return answer.status, {name.lower(): value for name, value in answer.getheaders()}, body


def wait_until_empty(service: Service) -> None:
    """Wait until the sockets of other tests are closed, so that four unauthenticated ones can be opened."""

    def four_fit() -> bool:
        with ExitStack() as stack:
            try:
                for _ in range(4):
                    stack.callback(websocket.create_connection(f"{service.url()}/ws".replace("http", "ws")).close)
            except websocket.WebSocketBadStatusException:
                return False
        return True

    until(four_fit, 20, "the sockets of other tests to be closed")


def test_idle_unauthenticated_sockets_block_others_only_until_their_timeout(limited: Service) -> None:
    wait_until_empty(limited)
    idle = [until(lambda: _open(limited), what="a free slot") for _ in range(4)]
    status, headers, body = handshake(limited)
    assert status == 429
    assert headers["content-type"] == "application/problem+json"
    assert int(headers["retry-after"]) > 0
    assert body["code"] == "ERR_TOO_MANY_SOCKETS"
    until(lambda: handshake(limited)[0] == 101, 20, "the idle sockets to time out")
    for ws in idle:
        assert ws is not None
        ws.close()


def test_the_handshake_of_an_address_with_too_many_sockets_is_refused(limited: Service) -> None:
    wait_until_empty(limited)
    with ExitStack() as stack:
        for n in range(6):
            stack.enter_context(connected(limited, f"many-{n}"))
        status, _, body = handshake(limited)
        assert (status, body["status"]) == (429, 429)
        assert "6 open sockets" in body["detail"]
        assert limited.get("/health").status == 200
    until(lambda: handshake(limited)[0] == 101, 20, "a free slot")


def test_only_consecutive_malformed_messages_close_the_socket(limited: Service) -> None:
    wait_until_empty(limited)
    with connected(limited, "malformed") as extension:
        for _ in range(3):
            for _ in range(4):
                extension.send("{")
            extension.send_heartbeat()
        for _ in range(5):
            extension.send("{")
        assert extension.closed() == CloseCode.FLOODING
    assert any("in a row" in message.get("error", "") for message in extension.received)


def test_invalid_messages_before_authentication_close_the_socket(limited: Service) -> None:
    wait_until_empty(limited)
    extension = connected(limited, "unauthenticated")
    for _ in range(5):
        extension.send({"type": "heartbeat", "extensionId": "unauthenticated"})
    assert extension.closed() == CloseCode.FLOODING


def test_a_flood_of_pings_is_slowed_down(limited: Service) -> None:
    wait_until_empty(limited)
    with connected(limited, "pinger"):
        ws = until(lambda: _open(limited), what="a free slot")
        assert ws is not None
        assert ws.sock is not None
        ws.recv()
        ws.sock.sendall(b"\x89\x80\x00\x00\x00\x00" * 30_000)
        ws.sock.settimeout(0.1)
        pongs, began = 0, time.monotonic()
        while (took_s := time.monotonic() - began) < 1.0:
            with suppress(TimeoutError):
                pongs += len(ws.sock.recv(65536)) // 2
        assert 100 < pongs < 4096 * (2 + took_s) + 1000  # a burst of two seconds
        assert limited.get("/health").status == 200
        ws.close()


def test_a_flood_of_messages_is_slowed_down_and_then_disconnected(limited: Service) -> None:
    wait_until_empty(limited)
    with connected(limited, "flood") as extension:
        heartbeat = json.dumps({"type": "heartbeat", "extensionId": "flood", "status": {"available": True}})
        ended = threading.Event()

        def flood() -> None:
            try:
                while not ended.is_set():
                    extension.send(heartbeat)
            except (OSError, websocket.WebSocketException):
                pass

        sender = threading.Thread(target=flood, daemon=True)
        began = time.monotonic()
        sender.start()
        code = extension.closed(40)
        took_s = time.monotonic() - began
        ended.set()
        responses = sum(message["type"] == "heartbeat_response" for message in extension.received)
        assert code in {CloseCode.FLOODING, None}  # unread messages may turn the close into a reset
        assert 9 < took_s < 35
        assert responses <= 20 * (4 + took_s) + 1
        sender.join(10)
    assert "more messages" in limited.log("web0")


def _open(service: Service) -> websocket.WebSocket | None:
    try:
        return websocket.create_connection(f"{service.url()}/ws".replace("http", "ws"), timeout=10)
    except websocket.WebSocketBadStatusException:
        return None


def connected(service: Service, name: str) -> Extension:
    """The socket of an extension, once a slot is free."""
    extension = until(lambda: _extension(service, name), 20, "a free slot")
    assert extension is not None
    return extension


def _extension(service: Service, name: str) -> Extension | None:
    try:
        return service.extension(name, "nothing")
    except websocket.WebSocketBadStatusException:
        return None
