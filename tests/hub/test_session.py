"""Sessions: no report is lost while the database is unavailable, receipts, pings, revoked tokens."""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Callable
from types import SimpleNamespace
from typing import Any, cast

import pytest
from simple_websocket import ConnectionClosed
from structlog.testing import capture_logs

from app.config import Settings
from app.container import Services
from app.domain.access import Credential, CredentialKind, Role
from app.domain.close_codes import CloseCode
from app.domain.errors import LeaseLost, Unavailable
from app.domain.messages import Message
from app.hub import session
from app.hub.connection import Connection
from app.hub.offers import Offer
from app.hub.session import Session
from app.services.revocation import Subscription
from tests.support.fakes import FakeRandomness

AUTHENTICATE = json.dumps({"type": "authenticate", "extensionId": "extension-1", "metadata": {"capabilities": []}})
HEARTBEAT = json.dumps({"type": "heartbeat", "extensionId": "extension-1"})
FAILURE = json.dumps({"type": "image_generation_failed", "requestId": "two", "error": "It crashed"})
PROGRESS = json.dumps({"type": "image_generation_progress", "requestId": "two", "progress": 50})
OFFER_FAILURE = FAILURE.replace("two", "one")


class FakeConnection:
    """Receives the given messages, proves one offer, and records what is sent."""

    id = "connection-1"
    silence_s = 0.0
    closing = False

    def __init__(self, *messages: str) -> None:
        self.messages = list(messages)
        self.sent: list[str] = []
        self.timeouts_s: list[float] = []
        self.offers = [Offer("one", "lease-1")]
        self.closed: int | None = None
        self.gone = self.leaves = self.unregistered = False

    def receive(self, timeout_s: float) -> str:
        self.timeouts_s.append(timeout_s)
        if not self.messages:
            raise ConnectionClosed
        return self.messages.pop(0)

    def await_pong(self, timeout_s: float) -> None:
        if self.gone:
            raise ConnectionClosed

    def mark_authenticated(self) -> None:
        """Slots are not counted."""

    def check_peer(self) -> None:
        if self.leaves:
            raise ConnectionClosed

    def take_proven(self) -> list[Offer]:
        proven, self.offers = self.offers, []
        return proven

    def send(self, message: Message) -> None:
        self.sent.append(message.type)

    send_now = send

    def close(self, code: int, reason: str) -> None:
        self.closed = code
        self.closing = True


class FlakyDatabase:
    """Fails for the first `times` calls, then records them."""

    def __init__(self, times: int) -> None:
        self.left = times
        self.done: list[str] = []

    def record(self, what: str) -> None:
        if self.left:
            self.left -= 1
            raise Unavailable
        self.done.append(what)


class FakeToken:
    """A token that can be revoked, and the watcher that notices it."""

    credential = Credential(CredentialKind.EXTENSION_TOKEN, "token-1", "extension-1", Role.EXTENSION, frozenset())

    def __init__(self) -> None:
        self.subscriptions: list[Subscription] = []

    def add(self, subscription: Subscription) -> None:
        self.subscriptions.append(subscription)

    def remove(self, subscription: Subscription) -> None:
        self.subscriptions.remove(subscription)

    def revoke(self) -> None:
        """Notify the session."""
        for subscription in self.subscriptions:
            subscription.ended("The token was revoked.")


def run_session(
    connection: FakeConnection,
    *,
    registrations: FlakyDatabase,
    receipts: FlakyDatabase,
    reports: FlakyDatabase,
    offer_timeout_ms: int = 0,
    jitter: float = 0.0,
    token: FakeToken | None = None,
    has_newer_connection: bool = False,
) -> None:
    def connected(message: Any, socket: Any, check: Callable[[], object], token_id: str | None) -> Any:
        check()
        registrations.record(message.extension_id)
        return SimpleNamespace(held=())

    randomness = FakeRandomness()
    randomness.jitter_value = jitter
    services = SimpleNamespace(
        access=SimpleNamespace(revocations=token),
        ports=SimpleNamespace(randomness=randomness),
        settings=dataclasses.replace(
            Settings.from_env({}), heartbeat_timeout_ms=60_000, offer_timeout_ms=offer_timeout_ms
        ),
        extensions=SimpleNamespace(
            connected=connected,
            disconnected=lambda connection_id: setattr(connection, "unregistered", True),
            heartbeat=lambda holder, heartbeat: None,
            is_connected=lambda extension_id: has_newer_connection,
        ),
        previews=None,  # no message has one
        generation=SimpleNamespace(
            offer_received=lambda request_id, lease: receipts.record(lease),
            report=lambda holder, report: reports.record(getattr(report, "error", report.type)),
        ),
    )
    Session(
        cast(Connection, connection),
        cast(Services, services),
        "hub-1",
        lambda authenticate: token.credential if token else None,
    ).run()


@pytest.fixture(autouse=True)
def _no_retry_pauses(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(session, "UNAVAILABLE_PAUSE_S", 0.0)


def test_a_receipt_that_could_not_be_recorded_does_not_affect_reports() -> None:
    receipts, reports = FlakyDatabase(1), FlakyDatabase(0)
    run_session(
        FakeConnection(AUTHENTICATE, FAILURE, FAILURE),
        registrations=FlakyDatabase(0),
        receipts=receipts,
        reports=reports,
    )
    assert reports.done == ["It crashed", "It crashed"]
    assert receipts.done == ["lease-1"]


def test_a_received_message_is_handled_before_a_receipt_is_recorded() -> None:
    both = FlakyDatabase(0)
    run_session(FakeConnection(AUTHENTICATE, FAILURE), registrations=FlakyDatabase(0), receipts=both, reports=both)
    assert both.done == ["It crashed", "lease-1"]


def test_a_receipt_is_recorded_with_a_delay_or_when_the_session_ends() -> None:
    both = FlakyDatabase(0)
    connection = FakeConnection(AUTHENTICATE, FAILURE, FAILURE)
    run_session(connection, registrations=FlakyDatabase(0), receipts=both, reports=both, offer_timeout_ms=60_000)
    assert both.done == ["It crashed", "It crashed", "lease-1"]


def test_a_report_proves_the_receipt_of_its_offer() -> None:
    both = FlakyDatabase(0)
    run_session(
        FakeConnection(AUTHENTICATE, OFFER_FAILURE), registrations=FlakyDatabase(0), receipts=both, reports=both
    )
    assert both.done == ["It crashed"]


def test_a_report_proves_nothing_about_a_later_offer() -> None:
    both = FlakyDatabase(0)
    connection = FakeConnection(AUTHENTICATE, OFFER_FAILURE)
    connection.offers = [Offer("one", "lease-2", made_s=float("inf"))]
    run_session(connection, registrations=FlakyDatabase(0), receipts=both, reports=both)
    assert both.done == ["It crashed", "lease-2"]


def test_a_report_that_is_refused_proves_nothing() -> None:
    class Refusing(FlakyDatabase):
        def record(self, what: str) -> None:
            raise LeaseLost

    receipts = FlakyDatabase(0)
    run_session(
        FakeConnection(AUTHENTICATE, OFFER_FAILURE),
        registrations=FlakyDatabase(0),
        receipts=receipts,
        reports=Refusing(0),
    )
    assert receipts.done == ["lease-1"]


def test_a_disconnect_is_recorded_even_if_recording_a_receipt_fails() -> None:
    class Broken(FlakyDatabase):
        def record(self, what: str) -> None:
            raise ZeroDivisionError

    connection = FakeConnection(AUTHENTICATE)
    with pytest.raises(ZeroDivisionError):
        run_session(
            connection,
            registrations=FlakyDatabase(0),
            receipts=Broken(0),
            reports=FlakyDatabase(0),
            offer_timeout_ms=60_000,
        )
    assert connection.unregistered


@pytest.mark.parametrize(("jitter", "expected_s"), [(0.0, 25.0), (0.5, 22.5), (1.0, 20.0)])
def test_pings_are_spread_by_jitter(jitter: float, expected_s: float) -> None:
    connection = FakeConnection(AUTHENTICATE)
    connection.offers = []
    run_session(
        connection, registrations=FlakyDatabase(0), receipts=FlakyDatabase(0), reports=FlakyDatabase(0), jitter=jitter
    )
    assert connection.timeouts_s[-1] == pytest.approx(expected_s)


@pytest.mark.parametrize(("has_newer_connection", "code"), [(True, CloseCode.REPLACED), (False, CloseCode.RESTARTING)])
def test_a_heartbeat_of_an_unregistered_connection_closes_it(has_newer_connection: bool, code: CloseCode) -> None:
    """An extension that was declared lost must reconnect; one that was replaced must not."""
    connection, database = FakeConnection(AUTHENTICATE, HEARTBEAT), FlakyDatabase(0)
    run_session(
        connection,
        registrations=database,
        receipts=database,
        reports=database,
        has_newer_connection=has_newer_connection,
    )
    assert connection.closed == code


def test_a_report_waits_for_the_database() -> None:
    reports = FlakyDatabase(3)
    run_session(
        FakeConnection(AUTHENTICATE, FAILURE),
        registrations=FlakyDatabase(0),
        receipts=FlakyDatabase(0),
        reports=reports,
    )
    assert reports.done == ["It crashed"]


def test_an_authentication_waits_for_the_database() -> None:
    connection = FakeConnection(AUTHENTICATE)
    run_session(connection, registrations=FlakyDatabase(3), receipts=FlakyDatabase(0), reports=FlakyDatabase(0))
    assert "authentication_success" in connection.sent


def test_without_a_database_the_extension_must_reconnect() -> None:
    connection = FakeConnection(AUTHENTICATE)
    run_session(connection, registrations=FlakyDatabase(1000), receipts=FlakyDatabase(0), reports=FlakyDatabase(0))
    assert connection.closed == CloseCode.RESTARTING


def test_the_authentication_of_a_disconnected_extension_changes_nothing() -> None:
    connection, registrations = FakeConnection(AUTHENTICATE), FlakyDatabase(0)
    connection.gone = True
    run_session(connection, registrations=registrations, receipts=FlakyDatabase(0), reports=FlakyDatabase(0))
    assert registrations.done == []


def test_an_extension_that_disconnects_during_its_authentication_is_not_registered() -> None:
    connection, registrations = FakeConnection(AUTHENTICATE), FlakyDatabase(0)
    connection.leaves = True
    run_session(connection, registrations=registrations, receipts=FlakyDatabase(0), reports=FlakyDatabase(0))
    assert registrations.done == []
    assert "authentication_success" not in connection.sent


def test_an_idle_extension_is_disconnected_at_once_when_its_token_is_revoked() -> None:
    class Idle(FakeConnection):
        def receive(self, timeout_s: float) -> str:
            if not self.messages:
                token.revoke()
                at_once.append((self.sent[-1], self.closed))
            return super().receive(timeout_s)

    token, at_once = FakeToken(), list[tuple[str, int | None]]()
    connection = Idle(AUTHENTICATE)
    run_session(
        connection,
        registrations=FlakyDatabase(0),
        receipts=FlakyDatabase(0),
        reports=FlakyDatabase(0),
        token=token,
    )
    assert at_once == [("error", CloseCode.NOT_AUTHENTICATED)]
    assert connection.sent.count("error") == 1


def test_no_message_is_handled_after_the_token_is_revoked() -> None:
    class RevokingDatabase(FlakyDatabase):
        def record(self, what: str) -> None:
            super().record(what)
            token.revoke()

    token, reports = FakeToken(), RevokingDatabase(0)
    connection = FakeConnection(AUTHENTICATE, FAILURE, FAILURE)
    run_session(connection, registrations=FlakyDatabase(0), receipts=FlakyDatabase(0), reports=reports, token=token)
    assert reports.done == ["It crashed"]
    assert (connection.sent[-1], connection.closed) == ("error", CloseCode.NOT_AUTHENTICATED)
    assert connection.unregistered


def test_progress_is_not_logged_at_info() -> None:
    calm = FlakyDatabase(0)
    connection = FakeConnection(AUTHENTICATE, PROGRESS, FAILURE)
    with capture_logs() as lines:
        run_session(connection, registrations=calm, receipts=calm, reports=calm)
    reports = [line["action"] for line in lines if line["log_level"] != "debug" and "reported" in line["event"]]
    assert reports == ["image_generation_failed"]
