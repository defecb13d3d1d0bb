"""The proof that an extension has received an offer, and the end of a connection."""

from __future__ import annotations

import json
import time
from typing import cast

import pytest
from simple_websocket import ConnectionClosed, Server

from app.domain.close_codes import CloseCode
from app.domain.messages import HeartbeatResponse
from app.hub.connection import Connection
from app.hub.offers import Offer
from app.hub.wire_socket import MessageTooLarge
from tests.support.fake_websocket import FakeWebSocket
from tests.support.waiting import until

OFFER = Offer("one", "lease-1")
NOW = "2026-01-01T00:00:00.000Z"


def with_offer() -> tuple[FakeWebSocket, Connection]:
    server = FakeWebSocket()
    connection = Connection(cast(Server, server), "http://hub.example")
    connection.send_offer(OFFER, {"type": "generate_image"})
    until(lambda: "Ping" in server.sent)
    return server, connection


def test_an_offer_is_proven_by_the_pong_to_the_ping_after_it() -> None:
    server, connection = with_offer()
    assert connection.take_proven() == []
    server.pong_received = True
    assert connection.take_proven() == [OFFER]
    assert connection.take_proven() == []


def test_an_offer_is_proven_only_after_the_messages_before_the_pong_are_received() -> None:
    server, connection = with_offer()
    server.input_buffer = ["a heartbeat sent before the offer was read", "another"]
    server.pong_received = True
    assert connection.take_proven() == []
    connection.receive(1)
    assert connection.take_proven() == []
    connection.receive(1)
    assert connection.take_proven() == [OFFER]


def test_messages_after_the_pong_do_not_delay_the_proof() -> None:
    server, connection = with_offer()
    server.input_buffer = ["before"]
    server.pong_received = True
    assert connection.take_proven() == []
    server.input_buffer.append("after")
    connection.receive(1)
    assert connection.take_proven() == [OFFER]


def test_messages_before_the_awaited_pong_are_kept() -> None:
    server, connection = with_offer()
    server.incoming = ["a heartbeat", "pong", "another"]
    connection.await_pong(60)
    assert server.incoming == ["another"]
    assert connection.receive(1) == "a heartbeat"


def test_an_offer_after_an_answered_ping_is_followed_by_another_ping() -> None:
    server = FakeWebSocket()
    connection = Connection(cast(Server, server), "http://hub.example")
    server.incoming = ["pong"]
    connection.await_pong(60)
    connection.send_offer(OFFER, {"type": "generate_image"})
    until(lambda: server.sent.count("Ping") == 2)


def test_a_pong_ends_the_wait_for_a_message() -> None:
    server, connection = with_offer()
    server.incoming = ["pong", "a heartbeat"]
    assert connection.receive(60) is None
    assert connection.take_proven() == [OFFER]
    assert connection.receive(60) == "a heartbeat"


def test_messages_are_returned_before_the_end_of_the_stream_is_raised() -> None:
    server, connection = with_offer()
    server.incoming = ["a heartbeat"]
    server.input_buffer, server.connected = ["a report"], False
    assert connection.receive(1) == "a report"
    with pytest.raises(ConnectionClosed):
        connection.receive(1)


def test_messages_are_returned_before_one_that_is_too_large_is_raised() -> None:
    server, connection = with_offer()
    server.incoming = ["a report", "too large", "too late"]
    connection.await_pong(60)
    assert connection.receive(60) == "a report"
    for _ in range(2):
        with pytest.raises(MessageTooLarge):
            connection.receive(60)
    assert server.incoming == ["too late"]


def test_a_close_is_the_last_frame_and_needs_no_reply(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("app.hub.connection.CLOSE_TIMEOUT_S", 0.01)
    server, connection = with_offer()
    connection.close(CloseCode.REPLACED, "replaced")
    connection.send_raw({"type": "cancel_generation"})
    connection.close(CloseCode.GOING_AWAY, "again")
    assert server.closed.wait(30)
    assert [each for each in server.sent if isinstance(each, int) or "cancel" in each] == [4000]


def test_finishing_waits_for_the_close_of_the_peer() -> None:
    server, connection = with_offer()
    server.incoming = ["too late", "close"]
    connection.finish()
    assert (server.incoming, server.closed.is_set()) == ([], True)


def test_the_rest_of_a_message_that_is_too_large_is_read_before_the_end(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("app.hub.connection.CLOSE_TIMEOUT_S", 0)
    server, connection = with_offer()
    server.incoming = ["too large", "the rest of it", "close"]
    with pytest.raises(MessageTooLarge):
        connection.receive(60)
    connection.finish()
    assert (server.incoming, server.closed.is_set()) == ([], True)


def test_only_an_offer_is_followed_by_a_ping() -> None:
    server = FakeWebSocket()
    connection = Connection(cast(Server, server), "http://hub.example")
    connection.send_now(HeartbeatResponse(timestamp=NOW))
    connection.send_raw({"type": "cancel_generation"})
    connection.send_offer(OFFER, {"type": "generate_image"})
    until(lambda: "Ping" in server.sent)
    kinds = [each if each == "Ping" else json.loads(each)["type"] for each in server.sent]
    assert kinds == ["heartbeat_response", "cancel_generation", "generate_image", "Ping"]


def test_a_pong_is_awaited_until_the_timeout(monkeypatch: pytest.MonkeyPatch) -> None:
    server, connection = with_offer()
    now_s = [100.0]
    waits: list[float] = []

    def read(timeout_s: float) -> bytes | None:
        assert len(waits) < 3, "it waits beyond the timeout"
        waits.append(timeout_s)
        now_s[0] += 0.5
        return b"a message"

    server.sock.read = read
    monkeypatch.setattr(time, "monotonic", lambda: now_s[0])
    connection.await_pong(1.2)
    assert waits == pytest.approx([1.2, 0.7, 0.2])
    assert connection.take_proven() == []
    assert server.connected


def test_awaiting_a_pong_on_a_closed_socket_raises() -> None:
    server, connection = with_offer()
    server.connected = False
    with pytest.raises(ConnectionClosed):
        connection.await_pong(60)
