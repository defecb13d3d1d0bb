"""How many sockets there may be, and how much one of them may say."""

from __future__ import annotations

import dataclasses
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

from app.config import Settings
from app.domain.errors import Refusal, TooManySockets, Unavailable
from app.hub.connection import FLOODING
from app.hub.seats import Seat, Seats
from tests.support.extension import Extension
from tests.support.service import Service, running_service
from tests.support.waiting import until

LIMITS = dataclasses.replace(
    Settings.from_env({}).limits, max_sockets=6, max_sockets_per_address=4, max_unauthenticated_sockets=4
)


def known(seats: Seats, address: str) -> Seat:
    seat = seats.take(address)
    seat.authenticated()
    return seat


def refusal(seats: Seats, address: str) -> Refusal:
    with pytest.raises(Refusal) as caught:
        seats.take(address)
    assert caught.value.retry_after_s
    return caught.value


def test_a_process_has_so_many_seats() -> None:
    seats = Seats(LIMITS)
    taken = [known(seats, f"203.0.113.{n}") for n in range(6)]
    full = refusal(seats, "203.0.113.99")
    assert isinstance(full, Unavailable)
    taken[0].leave()
    taken[0].leave()
    seats.take("203.0.113.99")
    refusal(seats, "203.0.113.98")


def test_an_address_has_fewer() -> None:
    seats = Seats(LIMITS)
    taken = [known(seats, "203.0.113.1") for _ in range(4)]
    full = refusal(seats, "203.0.113.1")
    assert (type(full), full.status) == (TooManySockets, 429)
    refusal(seats, "::ffff:203.0.113.1")
    seats.take("203.0.113.2")
    taken[1].leave()
    seats.take("203.0.113.1")


def test_strangers_have_fewer_still_and_one_address_half_of_those() -> None:
    seats = Seats(LIMITS)
    mine = [seats.take("203.0.113.1") for _ in range(2)]
    assert isinstance(refusal(seats, "203.0.113.1"), TooManySockets)
    others = [seats.take("203.0.113.2") for _ in range(2)]
    assert isinstance(refusal(seats, "203.0.113.3"), Unavailable)
    mine[0].authenticated()
    mine[0].authenticated()
    seats.take("203.0.113.1")
    others[0].leave()
    seats.take("203.0.113.3")


def test_what_has_left_is_not_counted_again_and_not_remembered() -> None:
    seats = Seats(LIMITS)
    for n in range(1000):
        seat = seats.take(f"203.0.113.{n % 250}")
        if n % 2:
            seat.authenticated()
        seat.leave()
        seat.authenticated()
    assert (seats._all, seats._strangers) == (0, 0)
    assert not seats._by_address
    assert not seats._strangers_by_address


def test_zero_is_no_limit() -> None:
    limits = dataclasses.replace(LIMITS, max_sockets=0, max_sockets_per_address=0, max_unauthenticated_sockets=0)
    seats = Seats(limits)
    assert len([seats.take("203.0.113.1") for _ in range(50)]) == 50


# -- on real sockets


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
        assert "6 sockets" in body["detail"]
        assert narrow.get("/health").status == 200
    until(lambda: handshake(narrow)[0] == 101, 20, "room")


def test_nonsense_in_a_row_closes_the_socket_and_sense_in_between_does_not(narrow: Service) -> None:
    empty(narrow)
    with seated(narrow, "babbler") as extension:
        for _ in range(3):
            for _ in range(4):
                extension.say("{")
            extension.beat()
        for _ in range(5):
            extension.say("{")
        assert extension.closed() == FLOODING
    assert any("in a row" in message.get("error", "") for message in extension.heard)


def test_nonsense_before_authentication_closes_it_too(narrow: Service) -> None:
    empty(narrow)
    extension = seated(narrow, "stranger")
    for _ in range(5):
        extension.say({"type": "heartbeat", "extensionId": "stranger"})
    assert extension.closed() == FLOODING


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
                    extension.say(beat)
            except (OSError, websocket.WebSocketException):
                pass

        sender = threading.Thread(target=flood, daemon=True)
        began = time.monotonic()
        sender.start()
        code = extension.closed(40)
        took_s = time.monotonic() - began
        ended.set()
        heard = sum(message["type"] == "heartbeat_response" for message in extension.heard)
        assert code in {FLOODING, None}  # what is still on its way may make the end a reset
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
