"""A session while the database is away for a moment: nothing that the extension said is lost."""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import SimpleNamespace
from typing import Any, cast

import pytest
from simple_websocket import ConnectionClosed

from app.config import Settings
from app.container import Services
from app.domain.close_codes import CloseCode
from app.domain.errors import LeaseLost, Unauthorized, Unavailable
from app.domain.messages import Message
from app.hub import session
from app.hub.connection import Connection
from app.hub.offers import Offer
from app.hub.session import Session
from app.hub.socket_credential import SocketCredential
from app.services.auth_throttle import AuthThrottle
from tests.support.fakes import FakeRandomness

HELLO = json.dumps({"type": "authenticate", "extensionId": "painter", "metadata": {"capabilities": []}})
FAILURE = json.dumps({"type": "image_generation_failed", "requestId": "two", "error": "It crashed"})
OF_THE_OFFER = FAILURE.replace("two", "one")


class FakeConnection:
    """Receives what it was given, proves one offer, and keeps what is sent."""

    id = "connection-1"
    silence_s = 0.0
    closing = False

    def __init__(self, *said: str) -> None:
        self.said = list(said)
        self.sent: list[str] = []
        self.listened_s: list[float] = []
        self.offers = [Offer("one", "lease-1")]
        self.closed: int | None = None
        self.gone = self.leaves = self.parted_from = False

    def receive(self, timeout_s: float) -> str:
        self.listened_s.append(timeout_s)
        if not self.said:
            raise ConnectionClosed
        return self.said.pop(0)

    def await_pong(self, timeout_s: float) -> None:
        if self.gone:
            raise ConnectionClosed

    def mark_authenticated(self) -> None:
        """No slots are counted here."""

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


class Flaky:
    """A database that cannot be reached the first `times` times."""

    def __init__(self, times: int) -> None:
        self.left = times
        self.done: list[str] = []

    def note(self, what: str) -> None:
        if self.left:
            self.left -= 1
            raise Unavailable
        self.done.append(what)


def live(
    connection: FakeConnection,
    *,
    coming: Flaky,
    proofs: Flaky,
    reports: Flaky,
    offer_timeout_ms: int = 0,
    jitter: float = 0.0,
    credential: Any = None,
) -> None:
    def connected(hello: Any, socket: Any, check: Callable[[], object], token_id: str | None) -> Any:
        check()
        coming.note(hello.extension_id)
        return SimpleNamespace(held=())

    randomness = FakeRandomness()
    randomness.jitter_value = jitter
    throttle = SimpleNamespace(admit_extension=lambda address, extension_id, shown: None, access=None)
    services = SimpleNamespace(
        ports=SimpleNamespace(randomness=randomness),
        settings=dataclasses.replace(
            Settings.from_env({}), heartbeat_timeout_ms=60_000, offer_timeout_ms=offer_timeout_ms
        ),
        extensions=SimpleNamespace(
            connected=connected, disconnected=lambda connection_id: setattr(connection, "parted_from", True)
        ),
        generation=SimpleNamespace(
            handed_over=lambda request_id, lease: proofs.note(lease),
            report=lambda holder, report: reports.note(report.error),
        ),
    )
    Session(
        cast(Connection, connection),
        cast(Services, services),
        "hub-1",
        credential or SocketCredential(cast(AuthThrottle, throttle), "203.0.113.7"),
    ).run()


@pytest.fixture(autouse=True)
def _no_pauses(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(session, "UNAVAILABLE_PAUSE_S", 0.0)


def test_a_report_outlives_a_proof_that_could_not_be_noted() -> None:
    proofs, reports = Flaky(1), Flaky(0)
    live(FakeConnection(HELLO, FAILURE, FAILURE), coming=Flaky(0), proofs=proofs, reports=reports)
    assert reports.done == ["It crashed", "It crashed"]
    assert proofs.done == ["lease-1"]


def test_what_was_heard_is_dealt_with_before_a_proof_counts() -> None:
    both = Flaky(0)
    live(FakeConnection(HELLO, FAILURE), coming=Flaky(0), proofs=both, reports=both)
    assert both.done == ["It crashed", "lease-1"]


def test_a_proof_is_noted_some_time_later_or_when_the_session_ends() -> None:
    both = Flaky(0)
    connection = FakeConnection(HELLO, FAILURE, FAILURE)
    live(connection, coming=Flaky(0), proofs=both, reports=both, offer_timeout_ms=60_000)
    assert both.done == ["It crashed", "It crashed", "lease-1"]


def test_a_report_proves_that_its_offer_came() -> None:
    both = Flaky(0)
    live(FakeConnection(HELLO, OF_THE_OFFER), coming=Flaky(0), proofs=both, reports=both)
    assert both.done == ["It crashed"]


def test_a_report_proves_nothing_of_an_offer_that_was_made_after_it() -> None:
    both = Flaky(0)
    connection = FakeConnection(HELLO, OF_THE_OFFER)
    connection.offers = [Offer("one", "lease-2", made_s=float("inf"))]
    live(connection, coming=Flaky(0), proofs=both, reports=both)
    assert both.done == ["It crashed", "lease-2"]


def test_a_report_that_is_refused_proves_nothing() -> None:
    class Refusing(Flaky):
        def note(self, what: str) -> None:
            raise LeaseLost

    proofs = Flaky(0)
    live(FakeConnection(HELLO, OF_THE_OFFER), coming=Flaky(0), proofs=proofs, reports=Refusing(0))
    assert proofs.done == ["lease-1"]


def test_a_goodbye_is_noted_whatever_becomes_of_a_proof() -> None:
    class Broken(Flaky):
        def note(self, what: str) -> None:
            raise ZeroDivisionError

    connection = FakeConnection(HELLO)
    with pytest.raises(ZeroDivisionError):
        live(connection, coming=Flaky(0), proofs=Broken(0), reports=Flaky(0), offer_timeout_ms=60_000)
    assert connection.parted_from


@pytest.mark.parametrize(("jitter", "silent_s"), [(0.0, 25.0), (0.5, 22.5), (1.0, 20.0)])
def test_those_who_came_together_are_not_pinged_together(jitter: float, silent_s: float) -> None:
    connection = FakeConnection(HELLO)
    connection.offers = []
    live(connection, coming=Flaky(0), proofs=Flaky(0), reports=Flaky(0), jitter=jitter)
    assert connection.listened_s[-1] == pytest.approx(silent_s)


def test_a_report_waits_for_the_database() -> None:
    reports = Flaky(3)
    live(FakeConnection(HELLO, FAILURE), coming=Flaky(0), proofs=Flaky(0), reports=reports)
    assert reports.done == ["It crashed"]


def test_an_extension_that_comes_waits_for_the_database() -> None:
    connection = FakeConnection(HELLO)
    live(connection, coming=Flaky(3), proofs=Flaky(0), reports=Flaky(0))
    assert "authentication_success" in connection.sent


def test_an_extension_that_cannot_be_let_in_is_asked_to_come_again() -> None:
    connection = FakeConnection(HELLO)
    live(connection, coming=Flaky(1000), proofs=Flaky(0), reports=Flaky(0))
    assert connection.closed == CloseCode.RESTARTING


def test_a_greeting_whose_sender_is_gone_changes_nothing() -> None:
    connection, coming = FakeConnection(HELLO), Flaky(0)
    connection.gone = True
    live(connection, coming=coming, proofs=Flaky(0), reports=Flaky(0))
    assert coming.done == []


def test_a_greeting_whose_sender_leaves_while_the_database_is_busy_changes_nothing() -> None:
    connection, coming = FakeConnection(HELLO), Flaky(0)
    connection.leaves = True
    live(connection, coming=coming, proofs=Flaky(0), reports=Flaky(0))
    assert coming.done == []
    assert "authentication_success" not in connection.sent


class FakeToken:
    """A token that can be revoked."""

    token_id = "token-1"

    def __init__(self) -> None:
        self.revoked = False
        self.end: Callable[[], object] = bool

    def admit(self, hello: Any) -> None:
        """It is good."""

    @contextmanager
    def monitored(self, end: Callable[[], object]) -> Iterator[None]:
        self.end = end
        yield

    def check(self) -> None:
        if self.revoked:
            raise Unauthorized("The token was revoked.", shown=True)


def test_an_extension_that_only_listens_is_turned_away_in_the_moment_its_token_is_revoked() -> None:
    class Listening(FakeConnection):
        def receive(self, timeout_s: float) -> str:
            if not self.said:
                token.revoked = True
                token.end()
                at_once.append((self.sent[-1], self.closed))
            return super().receive(timeout_s)

    token, at_once = FakeToken(), list[tuple[str, int | None]]()
    connection = Listening(HELLO)
    live(connection, coming=Flaky(0), proofs=Flaky(0), reports=Flaky(0), credential=token)
    assert at_once == [("error", CloseCode.NOT_AUTHENTICATED)]
    assert connection.sent.count("error") == 1


def test_nothing_more_is_read_once_the_token_is_known_to_be_revoked() -> None:
    class RevokedMeanwhile(Flaky):
        def note(self, what: str) -> None:
            super().note(what)
            token.revoked = True

    token, reports = FakeToken(), RevokedMeanwhile(0)
    connection = FakeConnection(HELLO, FAILURE, FAILURE)
    live(connection, coming=Flaky(0), proofs=Flaky(0), reports=reports, credential=token)
    assert reports.done == ["It crashed"]
    assert (connection.sent[-1], connection.closed) == ("error", CloseCode.NOT_AUTHENTICATED)
    assert connection.parted_from
