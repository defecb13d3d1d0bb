"""How many sockets there may be, and how much one of them may say, on real ones."""

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
def narrow(tmp_path_factory: pytest.TempPathFactory, migrated_sqlite_file: Path, redis_url: str) -> Iterator[Service]:
    """One web process with little room and little patience."""
    folder = tmp_path_factory.mktemp("narrow")
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
    """What a WebSocket handshake is answered with over HTTP."""
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


def empty(service: Service) -> None:
    """Wait until sockets of other tests are gone: four strangers fit, and are gone again."""

    def fit() -> bool:
        with ExitStack() as stack:
            try:
                for _ in range(4):
                    stack.callback(websocket.create_connection(f"{service.url()}/ws".replace("http", "ws")).close)
            except websocket.WebSocketBadStatusException:
                return False
        return True

    until(fit, 20, "sockets of other tests to be gone")


def test_idle_strangers_do_not_keep_others_out_for_longer_than_their_time(narrow: Service) -> None:
    empty(narrow)
    idle = [until(lambda: _open(narrow), what="room for a stranger") for _ in range(4)]
    status, headers, body = handshake(narrow)
    assert status == 429
    assert headers["content-type"] == "application/problem+json"
    assert int(headers["retry-after"]) > 0
    assert body["code"] == "ERR_TOO_MANY_SOCKETS"
    until(lambda: handshake(narrow)[0] == 101, 20, "the strangers' time to be over")
    for ws in idle:
        assert ws is not None
        ws.close()


def test_an_address_with_all_its_sockets_is_refused_before_a_socket_is_taken(narrow: Service) -> None:
    empty(narrow)
    with ExitStack() as stack:
        for n in range(6):
            stack.enter_context(seated(narrow, f"many-{n}"))
        status, _, body = handshake(narrow)
        assert (status, body["status"]) == (429, 429)
        assert "6 open sockets" in body["detail"]
        assert narrow.get("/health").status == 200
    until(lambda: handshake(narrow)[0] == 101, 20, "room")


def test_nonsense_in_a_row_closes_the_socket_and_sense_in_between_does_not(narrow: Service) -> None:
    empty(narrow)
    with seated(narrow, "babbler") as extension:
        for _ in range(3):
            for _ in range(4):
                extension.send("{")
            extension.send_heartbeat()
        for _ in range(5):
            extension.send("{")
        assert extension.closed() == CloseCode.FLOODING
    assert any("in a row" in message.get("error", "") for message in extension.received)


def test_nonsense_before_authentication_closes_it_too(narrow: Service) -> None:
    empty(narrow)
    extension = seated(narrow, "stranger")
    for _ in range(5):
        extension.send({"type": "heartbeat", "extensionId": "stranger"})
    assert extension.closed() == CloseCode.FLOODING


def test_a_flood_of_pings_is_slowed_down_too(narrow: Service) -> None:
    empty(narrow)
    with seated(narrow, "pinger"):
        ws = until(lambda: _open(narrow), what="a seat")
        assert ws is not None
        assert ws.sock is not None
        ws.recv()
        ws.sock.sendall(b"\x89\x80\x00\x00\x00\x00" * 30_000)
        ws.sock.settimeout(0.1)
        pongs, began = 0, time.monotonic()
        while (took_s := time.monotonic() - began) < 1.0:
            with suppress(TimeoutError):
                pongs += len(ws.sock.recv(65536)) // 2
        assert 100 < pongs < 4096 * (2 + took_s) + 1000  # two seconds' worth at once
        assert narrow.get("/health").status == 200
        ws.close()


def test_a_flood_is_slowed_down_and_then_cut_off(narrow: Service) -> None:
    empty(narrow)
    with seated(narrow, "flood") as extension:
        beat = json.dumps({"type": "heartbeat", "extensionId": "flood", "status": {"available": True}})
        ended = threading.Event()

        def flood() -> None:
            try:
                while not ended.is_set():
                    extension.send(beat)
            except (OSError, websocket.WebSocketException):
                pass

        sender = threading.Thread(target=flood, daemon=True)
        began = time.monotonic()
        sender.start()
        code = extension.closed(40)
        took_s = time.monotonic() - began
        ended.set()
        heard = sum(message["type"] == "heartbeat_response" for message in extension.received)
        assert code in {CloseCode.FLOODING, None}  # what is still on its way may make the end a reset
        assert 9 < took_s < 35
        assert heard <= 20 * (4 + took_s) + 1
        sender.join(10)
    assert "more messages" in narrow.log("web0")


def _open(service: Service) -> websocket.WebSocket | None:
    try:
        return websocket.create_connection(f"{service.url()}/ws".replace("http", "ws"), timeout=10)
    except websocket.WebSocketBadStatusException:
        return None


def seated(service: Service, name: str) -> Extension:
    """An extension's socket, once there is room for it."""
    found = until(lambda: _extension(service, name), 20, "a seat")
    assert found is not None
    return found


def _extension(service: Service, name: str) -> Extension | None:
    try:
        return service.extension(name, "nothing")
    except websocket.WebSocketBadStatusException:
        return None
