"""What proves that an extension has an offer in hand."""

from __future__ import annotations

import json
import threading
from types import SimpleNamespace
from typing import Any, cast

import pytest
from simple_websocket import ConnectionClosed, Server
from wsproto.connection import ConnectionState

from app.domain.close_codes import CloseCode
from app.domain.messages import HeartbeatResponse
from app.hub.connection import Connection, Offer
from tests.support.waiting import until

OFFER = Offer("one", "lease-1")
NOW = "2026-01-01T00:00:00.000Z"


class FakeServer:
    """A WebSocket whose other side the test plays."""

    def __init__(self) -> None:
        self.connected = True
        self.pong_received = True
        self.input_buffer: list[str] = []
        self.sent: list[Any] = []
        self.said: list[str] = []
        self.closed = threading.Event()
        self.sock = SimpleNamespace(
            send=self.sent.append, read=self.read, close=self.closed.set, over_for_s=0.0, is_gone=False
        )
        self.ws = SimpleNamespace(
            send=lambda event: type(event).__name__, receive_data=self.take, state=ConnectionState.OPEN
        )

    def read(self, timeout_s: float) -> bytes | None:
        """What the other side says next; it says nothing until it is told what, and no pong before a ping."""
        if self.said[:1] == ["pong"]:
            until(lambda: "Ping" in self.sent and not self.pong_received)
        return self.said.pop(0).encode() if self.said else None

    def take(self, piece: bytes) -> None:
        if piece == b"pong":
            self.pong_received = True
        elif piece == b"close":
            self.ws.state = ConnectionState.CLOSED
        else:
            self.input_buffer.append(piece.decode())

    def _handle_events(self) -> bool:
        return self.ws.state is ConnectionState.OPEN

    def close(self, code: int, reason: str) -> None:
        self.sent.append(code)
        self.connected = False
        self.ws.state = ConnectionState.LOCAL_CLOSING

    def send(self, text: str) -> None:
        self.sent.append(text)


def offered() -> tuple[FakeServer, Connection]:
    server = FakeServer()
    connection = Connection(cast(Server, server), "http://here")
    connection.offer(OFFER, {"type": "generate_image"})
    until(lambda: "Ping" in server.sent)
    return server, connection


def test_an_offer_is_proven_by_the_pong_to_the_ping_behind_it() -> None:
    server, connection = offered()
    assert connection.proven() == []
    server.pong_received = True
    assert connection.proven() == [OFFER]
    assert connection.proven() == []


def test_an_offer_is_not_proven_before_what_came_before_the_pong_is_taken() -> None:
    server, connection = offered()
    server.input_buffer = ["a heartbeat sent before the offer was read", "another"]
    server.pong_received = True
    assert connection.proven() == []
    connection.receive(1)
    assert connection.proven() == []
    connection.receive(1)
    assert connection.proven() == [OFFER]


def test_what_comes_after_the_pong_does_not_put_the_proof_off() -> None:
    server, connection = offered()
    server.input_buffer = ["before"]
    server.pong_received = True
    assert connection.proven() == []
    server.input_buffer.append("after")
    connection.receive(1)
    assert connection.proven() == [OFFER]


def test_whoever_answers_a_ping_is_there_and_what_it_says_before_is_kept() -> None:
    server, connection = offered()
    server.said = ["a heartbeat", "pong", "another"]
    connection.await_answer(60)
    assert server.said == ["another"]
    assert connection.receive(1) == "a heartbeat"


def test_an_offer_after_a_ping_that_was_answered_is_proven_by_a_ping_of_its_own() -> None:
    server = FakeServer()
    connection = Connection(cast(Server, server), "http://here")
    server.said = ["pong"]
    connection.await_answer(60)
    connection.offer(OFFER, {"type": "generate_image"})
    until(lambda: server.sent.count("Ping") == 2)


def test_a_sign_of_life_ends_the_wait_for_a_message() -> None:
    server, connection = offered()
    server.said = ["pong", "a heartbeat"]
    assert connection.receive(60) is None
    assert connection.proven() == [OFFER]
    assert connection.receive(60) == "a heartbeat"


def test_what_was_read_is_taken_before_the_end_is_told() -> None:
    server, connection = offered()
    server.said = ["a heartbeat"]
    server.input_buffer, server.connected = ["a report"], False
    assert connection.receive(1) == "a report"
    with pytest.raises(ConnectionClosed):
        connection.receive(1)


def test_a_goodbye_is_the_last_that_is_said_and_closes_also_where_nobody_answers(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("app.hub.connection.PARTING_S", 0.01)
    server, connection = offered()
    connection.close(CloseCode.REPLACED, "replaced")
    connection.pass_on({"type": "cancel_generation"})
    connection.close(CloseCode.GOING_AWAY, "again")
    assert server.closed.wait(30)
    assert [each for each in server.sent if isinstance(each, int) or "cancel" in each] == [4000]


def test_who_parts_waits_for_the_others_goodbye() -> None:
    server, connection = offered()
    server.said = ["too late", "close"]
    connection.part()
    assert (server.said, server.closed.is_set()) == ([], True)


def test_nobody_writes_where_nothing_waits() -> None:
    server, connection = offered()
    before = threading.active_count()
    for number in range(200):
        connection.pass_on({"number": number})
        until(lambda: not connection._writing, what="the writer to be done")
    assert threading.active_count() <= before
    assert [json.loads(each)["number"] for each in server.sent if each.startswith('{"number')] == list(range(200))


def test_what_the_session_answers_is_said_before_it_goes_on_and_what_comes_meanwhile_after_it() -> None:
    server = FakeServer()
    connection = Connection(cast(Server, server), "http://here")

    def send(text: str) -> None:
        server.sent.append(text)
        if "heartbeat_response" in text:
            connection.pass_on({"type": "meanwhile"})

    server.send = send  # type: ignore[method-assign]
    connection.answer(HeartbeatResponse(timestamp=NOW))
    assert json.loads(server.sent[0])["type"] == "heartbeat_response"
    until(lambda: len(server.sent) > 1, what="what came meanwhile to be said")
    assert json.loads(server.sent[1])["type"] == "meanwhile"


def test_an_answer_waits_behind_what_is_being_said() -> None:
    server = FakeServer()
    connection = Connection(cast(Server, server), "http://here")
    begun, go_on = threading.Event(), threading.Event()

    def send(text: str) -> None:
        begun.set()
        assert go_on.wait(30)
        server.sent.append(text)

    server.send = send  # type: ignore[method-assign]
    connection.pass_on({"type": "first"})
    assert begun.wait(30)
    connection.answer(HeartbeatResponse(timestamp=NOW))
    go_on.set()
    until(lambda: len(server.sent) == 2, what="both to be said")
    assert [json.loads(each)["type"] for each in server.sent] == ["first", "heartbeat_response"]


def test_only_an_offer_is_followed_by_a_ping() -> None:
    server = FakeServer()
    connection = Connection(cast(Server, server), "http://here")
    connection.answer(HeartbeatResponse(timestamp=NOW))
    connection.pass_on({"type": "cancel_generation"})
    connection.offer(OFFER, {"type": "generate_image"})
    until(lambda: "Ping" in server.sent)
    kinds = [each if each == "Ping" else json.loads(each)["type"] for each in server.sent]
    assert kinds == ["heartbeat_response", "cancel_generation", "generate_image", "Ping"]


def test_whoever_does_not_read_just_now_is_not_waited_for_long() -> None:
    _, connection = offered()
    connection.await_answer(0.05)


def test_whoever_is_gone_is_not_waited_for() -> None:
    server, connection = offered()
    server.connected = False
    with pytest.raises(ConnectionClosed):
        connection.await_answer(60)
