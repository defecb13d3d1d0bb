"""What proves that an extension has an offer in hand."""

from __future__ import annotations

import threading
from types import SimpleNamespace
from typing import Any, cast

import pytest
from simple_websocket import ConnectionClosed, Server

from app.hub.connection import Connection, Offer
from tests.support.waiting import until

OFFER = Offer("one", "lease-1")


class FakeServer:
    """A WebSocket whose other side the test plays."""

    def __init__(self) -> None:
        self.connected = True
        self.pong_received = True
        self.input_buffer: list[str] = []
        self.sent: list[Any] = []
        self.thread = threading.Thread()
        self.sock = SimpleNamespace(
            hold_while=lambda full: None,
            room=lambda: None,
            send=self.sent.append,
            close=lambda: None,
            over_for_s=0.0,
        )
        self.ws = SimpleNamespace(send=lambda event: type(event).__name__)

    def receive(self, timeout: float) -> str | None:
        return self.input_buffer.pop(0) if self.input_buffer else None

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


def test_whoever_answers_a_ping_is_there() -> None:
    server, connection = offered()
    server.pong_received = True
    connection.await_answer(60)


def test_whoever_does_not_read_just_now_is_not_waited_for_long() -> None:
    _, connection = offered()
    connection.await_answer(0.05)


def test_whoever_is_gone_is_not_waited_for() -> None:
    server, connection = offered()
    server.connected = False
    with pytest.raises(ConnectionClosed):
        connection.await_answer(60)
