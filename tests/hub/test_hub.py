"""A hub regularly reports that its web process is alive, and closes its sockets properly."""

from __future__ import annotations

import dataclasses
import threading
from collections.abc import Iterator
from types import SimpleNamespace
from typing import Any, cast

import pytest
from simple_websocket import Server

from app.adapters.metrics import PrometheusMetrics
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
    """Counts the reports. With `unavailable`, updating last-seen times fails; without `fast`, it takes long."""

    def __init__(self) -> None:
        self.reports = self.updates = 0
        self.unavailable = False
        self.fast = threading.Event()
        self.fast.set()

    def hub_heartbeat(self, hub_id: str) -> bool:
        self.reports += 1
        return self.reports > 1

    def record_last_seen(self) -> None:
        self.updates += 1
        self.fast.wait(10)
        if self.unavailable:
            raise Unavailable

    def hub_stopped(self, hub_id: str) -> None:
        """Not counted."""

    def disconnected(self, connection_id: str) -> None:
        """Not counted."""


@pytest.fixture
def extensions() -> FakeExtensions:
    return FakeExtensions()


@pytest.fixture
def bus() -> FakeBus:
    return FakeBus()


@pytest.fixture
def hub(extensions: FakeExtensions, bus: FakeBus, redis_url: str) -> Iterator[Hub]:
    watching: Any = SimpleNamespace(notify=lambda change: None, catch_up=lambda: None, stop=lambda: None)
    services = SimpleNamespace(
        settings=dataclasses.replace(Settings.from_env({}), redis_url=redis_url, hub_timeout_ms=40),
        ports=SimpleNamespace(bus=bus, randomness=FakeRandomness(), metrics=PrometheusMetrics()),
        generation=SimpleNamespace(),
        previews=SimpleNamespace(),
        extensions=extensions,
        watching=watching,
    )
    hub = Hub(cast(Services, services), cast(AuthThrottle, SimpleNamespace()))
    yield hub
    hub.close()


def test_each_report_updates_the_last_seen_times(hub: Hub, extensions: FakeExtensions) -> None:
    hub.start()
    until(lambda: extensions.updates >= 3, 5, "three reports")
    assert extensions.reports >= 3


def test_a_failed_update_does_not_stop_the_reports(hub: Hub, extensions: FakeExtensions) -> None:
    extensions.unavailable = True
    hub.start()
    until(lambda: extensions.updates >= 3, 5, "three reports")
    assert extensions.reports >= 3


def test_a_slow_update_does_not_delay_the_reports(hub: Hub, extensions: FakeExtensions) -> None:
    extensions.fast.clear()
    hub.start()
    until(lambda: extensions.reports >= 5, 5, "five reports")
    assert extensions.updates == 1
    extensions.fast.set()


def test_a_session_that_fails_closes_its_socket_with_an_internal_error(hub: Hub) -> None:
    def fail(*_: object) -> None:
        raise ZeroDivisionError

    hub.throttle = cast(AuthThrottle, SimpleNamespace(admit_extension=fail))
    ws = FakeWebSocket()
    ws.incoming = ['{"type": "authenticate", "extensionId": "e"}', "close"]
    hub.serve(cast(Server, ws), "http://hub.example", cast(SocketSlot, SimpleNamespace(network="203.0.113.7")))
    until(lambda: len(ws.sent) == 2, what="the close")
    assert ws.sent[1] == CloseCode.SERVER_ERROR
    assert ws.closed.is_set()
    assert not hub._connections
