"""Streams and pending answers end when their credential does."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from typing import Any

import pytest
from flask.testing import FlaskClient
from sqlalchemy import Connection
from werkzeug.test import TestResponse

from app import container
from app.container import Services
from app.db import credentials
from app.domain.access import Role, Scope
from app.domain.errors import Unavailable
from app.factory import create_app
from tests.support.fakes import Bench
from tests.support.statements import recorded_statements
from tests.support.waiting import until

ENDS_S = 30.0  # much longer than it takes, much shorter than the request would last
CHECKS = 3


@pytest.fixture
def guarded(bench: Bench) -> Services:
    """The services with required authentication and a user ann."""
    services = container.build(bench.with_settings(auth_required=True).ports)
    services.accounts.create_user("ann", Role.USER)
    return services


@pytest.fixture
def guarded_client(guarded: Services) -> FlaskClient:
    """An HTTP client of the application with required authentication."""
    return create_app(guarded.settings, guarded).test_client()


@pytest.fixture
def aside(guarded: Services) -> Iterator[ThreadPoolExecutor]:
    """A pool for calls that block while the test continues; it ends with the test."""
    with ThreadPoolExecutor(1) as pool:
        yield pool
        guarded.watching.stop()


def by_a_key(services: Services) -> tuple[str, Callable[[], object]]:
    """A key and a function that ends it."""
    key = services.accounts.create_key("ann", [Scope.READ, Scope.WRITE])
    return str(key), lambda: services.accounts.revoke_key(key.id)


def by_a_token(services: Services) -> tuple[str, Callable[[], object]]:
    """A token and a function that revokes it."""
    token, _, _ = services.access.issue("ann", Role.USER, "read write")
    return token, lambda: services.access.revoke(services.access.authenticate(token))


def by_a_short_token(services: Services) -> tuple[str, Callable[[], object]]:
    """A token that expires soon."""
    return services.access.issue("ann", Role.USER, "read write", lifetime_ms=4_000)[0], lambda: None


OPENED = pytest.mark.parametrize("opened", [by_a_key, by_a_token, by_a_short_token])


def watched(
    guarded_client: FlaskClient, services: Services, path: str, shown: dict[str, str], aside: ThreadPoolExecutor
) -> Future[TestResponse]:
    """Request `path` of a new job and read the whole response in the pool; returns once it is being watched."""
    request_id = guarded_client.post("/api/images/generate", json={"prompt": "a fox"}, headers=shown).json["requestId"]

    def ask() -> TestResponse:
        return guarded_client.application.test_client().get(
            f"/api/images/{request_id}{path}", headers=shown, buffered=True
        )

    answer = aside.submit(ask)
    until(lambda: services.watching.count == 1, 10, "somebody to watch")
    return answer


@OPENED
def test_a_stream_ends_with_its_credential(
    guarded_client: FlaskClient, guarded: Services, aside: ThreadPoolExecutor, opened: Callable
) -> None:
    shown, end = opened(guarded)
    answer = watched(guarded_client, guarded, "/events", {"Authorization": f"Bearer {shown}"}, aside)
    end()
    response = answer.result(ENDS_S)
    assert response.status_code == 200
    assert "ImageGenerationRequestedEvent" in response.text
    assert guarded.watching.count == 0


@OPENED
@pytest.mark.parametrize("path", ["", "/status"])
def test_a_pending_answer_becomes_a_refusal(
    guarded_client: FlaskClient, guarded: Services, aside: ThreadPoolExecutor, opened: Callable, path: str
) -> None:
    shown, end = opened(guarded)
    answer = watched(guarded_client, guarded, f"{path}?wait=60", {"Authorization": f"Bearer {shown}"}, aside)
    end()
    refused = answer.result(ENDS_S)
    assert (refused.status_code, refused.json["code"]) == (401, "ERR_UNAUTHORIZED")


def test_a_valid_credential_ends_nothing(
    guarded_client: FlaskClient, guarded: Services, aside: ThreadPoolExecutor, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("app.services.revocation.CHECKED_EVERY_S", 0.1)
    shown, _ = by_a_key(guarded)
    answer = watched(guarded_client, guarded, "/status?wait=1", {"Authorization": f"Bearer {shown}"}, aside)
    assert answer.result(ENDS_S).json["status"] == "accepted"


def test_without_a_reachable_database_streams_continue(
    guarded_client: FlaskClient, guarded: Services, aside: ThreadPoolExecutor, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("app.services.revocation.CHECKED_EVERY_S", 0.1)
    shown, _ = by_a_key(guarded)
    asked = threading.Event()

    def away(*_: object) -> None:
        asked.set()
        raise Unavailable

    monkeypatch.setattr("app.db.credentials.ended_within", away)
    answer = watched(guarded_client, guarded, "/status?wait=1", {"Authorization": f"Bearer {shown}"}, aside)
    assert answer.result(ENDS_S).status_code == 200
    assert asked.is_set()


def _was_read(statements: list[tuple[str, Any]], request_id: str, table: str, times: int) -> bool:
    return sum(table in text and request_id in str(values) for text, values in list(statements)) >= times


def test_idle_streams_and_pending_answers_share_one_query(
    guarded_client: FlaskClient, guarded: Services, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("app.services.revocation.CHECKED_EVERY_S", 0.05)
    checks, checked_often = 0, threading.Event()
    ended_within = credentials.ended_within

    def counted(connection: Connection, window_ms: int) -> set[tuple[str, str]]:
        nonlocal checks
        checks += 1
        if checks >= CHECKS:
            checked_often.set()
        return ended_within(connection, window_ms)

    tokens = [guarded.access.issue("ann", Role.USER, "read write")[0] for _ in range(50)]
    with ThreadPoolExecutor(len(tokens)) as pool:
        with recorded_statements("SELECT") as first_reads:
            ids = []
            for number, token in enumerate(tokens):
                shown = {"Authorization": f"Bearer {token}"}
                body = guarded_client.post("/api/images/generate", json={"prompt": "a fox"}, headers=shown).json
                path = f"/api/images/{body['requestId']}{'/events' if number % 2 else '?wait=60'}"
                pool.submit(guarded_client.application.test_client().get, path, headers=shown, buffered=True)
                # a stream reads once to be answered at all, and again once it watches
                ids.append((body["requestId"], *(("FROM events", 2) if number % 2 else ("FROM jobs", 1))))
            until(lambda: guarded.watching.count == len(tokens), 30, "all to watch")
            until(lambda: all(_was_read(first_reads, *each) for each in ids), 30, "all to have read their request")
        with recorded_statements() as statements:
            monkeypatch.setattr(credentials, "ended_within", counted)
            assert checked_often.wait(30)
            monkeypatch.setattr(credentials, "ended_within", ended_within)
        guarded.watching.stop()
    assert len([text for text, _ in statements if "revoked" in text]) <= checks + 2
    assert [text for text, _ in statements if not text.startswith(("BEGIN", "COMMIT")) and "revoked" not in text] == []
