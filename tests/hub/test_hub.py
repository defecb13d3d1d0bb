"""A hub shows regularly that its web process lives, and ends its sockets properly."""

from __future__ import annotations

import dataclasses
import threading
from collections.abc import Iterator
from types import SimpleNamespace
from typing import Any, cast

import pytest
from simple_websocket import Server

from app.config import Settings
from app.container import Services
from app.domain.close_codes import CloseCode
from app.domain.errors import Unavailable
from app.hub.hub import Hub
from app.hub.socket_slots import SocketSlot
from app.services.auth_throttle import AuthThrottle
from tests.support.fake_websocket import FakeWebSocket
from tests.support.fakes import FakeBus, FakeRandomness
from tests.support.waiting import until


class FakeExtensions:
    """Counts the signs of life; with `away`, showing last-seen times fails, and without `quick` it never ends."""

    def __init__(self) -> None:
        self.signs = self.shown = 0
        self.away = False
        self.quick = threading.Event()
        self.quick.set()

    def hub_heartbeat(self, hub_id: str) -> bool:
        self.signs += 1
        return self.signs > 1

    def record_last_seen(self) -> None:
        self.shown += 1
        self.quick.wait(10)
        if self.away:
            raise Unavailable

    def hub_stopped(self, hub_id: str) -> None:
        """Not counted here."""

    def disconnected(self, connection_id: str) -> None:
        """Not counted here."""


@pytest.fixture
def extensions() -> FakeExtensions:
    return FakeExtensions()


@pytest.fixture
def bus() -> FakeBus:
    return FakeBus()


@pytest.fixture
def hub(extensions: FakeExtensions, bus: FakeBus, redis_url: str) -> Iterator[Hub]:
    watching: Any = SimpleNamespace(tell=lambda change: None, catch_up=lambda: None, end=lambda: None)
    services = SimpleNamespace(
        settings=dataclasses.replace(Settings.from_env({}), redis_url=redis_url, hub_timeout_ms=40),
        ports=SimpleNamespace(bus=bus, randomness=FakeRandomness()),
        generation=SimpleNamespace(),
        extensions=extensions,
        watching=watching,
    )
    hub = Hub(cast(Services, services), cast(AuthThrottle, SimpleNamespace()))
    yield hub
    hub.close()


def test_with_its_sign_of_life_it_has_written_down_who_was_heard(hub: Hub, extensions: FakeExtensions) -> None:
    hub.start()
    until(lambda: extensions.shown >= 3, 5, "three signs of life")
    assert extensions.signs >= 3


def test_it_goes_on_where_that_cannot_be_written_down(hub: Hub, extensions: FakeExtensions) -> None:
    extensions.away = True
    hub.start()
    until(lambda: extensions.shown >= 3, 5, "three signs of life")
    assert extensions.signs >= 3


def test_it_is_seen_in_time_however_long_that_takes(hub: Hub, extensions: FakeExtensions) -> None:
    extensions.quick.clear()
    hub.start()
    until(lambda: extensions.signs >= 5, 5, "five signs of life")
    assert extensions.shown == 1
    extensions.quick.set()


def test_a_session_that_fails_closes_its_socket_with_an_internal_error(hub: Hub) -> None:
    def fail(*_: object) -> None:
        raise ZeroDivisionError

    hub.throttle = cast(AuthThrottle, SimpleNamespace(admit_extension=fail))
    ws = FakeWebSocket()
    ws.incoming = ['{"type": "authenticate", "extensionId": "e"}', "close"]
    hub.serve(cast(Server, ws), "http://here", cast(SocketSlot, SimpleNamespace(network="203.0.113.7")))
    until(lambda: len(ws.sent) == 2, what="the close")
    assert ws.sent[1] == CloseCode.SERVER_ERROR
    assert ws.closed.is_set()
    assert not hub._connections
