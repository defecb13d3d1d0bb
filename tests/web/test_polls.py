"""Polls that are answered before Flask is asked: word for word as Flask would, and no further than that."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any
from unittest.mock import patch

import pytest
from flask import request_started
from flask.testing import FlaskClient
from werkzeug.test import TestResponse

from app import container, network_settings
from app.container import Services
from app.domain.access import Role, Scope
from app.domain.errors import Unavailable
from app.factory import create_app
from app.services.lookup import Lookup
from tests.support import jobs_made
from tests.support.fakes import Bench

UNKNOWN = "550e8400-e29b-41d4-a716-446655440000"
THE_LONG_WAY = "?nothing=known"  # queries are looked at by Flask, and this one says nothing
CORRELATION = {"X-Correlation-Id": "correlation-of-ours"}
Shown = dict[str, str]


@contextmanager
def asking_flask(client: FlaskClient) -> Iterator[list[str]]:
    """The paths that Flask is asked for inside."""
    asked: list[str] = []

    def note(_sender: object, **_: object) -> None:
        asked.append("asked")

    with request_started.connected_to(note, client.application):
        yield asked


def both_ways(client: FlaskClient, request_id: str, **more: Any) -> tuple[TestResponse, TestResponse]:
    """The answer to a poll, and Flask's to the same; the first was not Flask's where it was a good one."""
    with asking_flask(client) as asked:
        short = client.get(f"/api/images/{request_id}/status", **more)
        assert bool(asked) == (short.status_code != 200)
        long = client.get(f"/api/images/{request_id}/status{THE_LONG_WAY}", **more)
        assert asked
    return short, long


def told(answer: TestResponse) -> dict[str, Any]:
    """What it says, but for the time at which it says so."""
    said: Any = answer.json
    return {**said, "timestamp": "now"}


def alike(short: TestResponse, long: TestResponse) -> bool:
    """True where nobody could tell which was which."""
    return (short.status, list(short.headers), told(short)) == (long.status, list(long.headers), told(long))


def waiting(client: FlaskClient, _bench: Bench) -> str:
    return str(client.post("/api/images/generate", json={"prompt": "a fox"}).json["requestId"])


def in_hand(_client: FlaskClient, bench: Bench) -> str:
    return jobs_made.processing(bench).id


def downloading(_client: FlaskClient, bench: Bench) -> str:
    return jobs_made.generated(bench, jobs_made.processing(bench), "https://img.example/a.png").id


def called_off(client: FlaskClient, bench: Bench) -> str:
    request_id = waiting(client, bench)
    assert client.delete(f"/api/images/{request_id}").status_code == 200
    return request_id


@pytest.mark.parametrize("made", [waiting, in_hand, downloading, called_off])
def test_a_poll_is_answered_as_flask_would_answer_it(
    client: FlaskClient, bench: Bench, made: Callable[[FlaskClient, Bench], str]
) -> None:
    short, long = both_ways(client, made(client, bench), headers=CORRELATION)
    assert short.status_code == 200
    assert alike(short, long)


def test_a_request_that_is_not_there_is_refused_as_ever(client: FlaskClient) -> None:
    short, long = both_ways(client, UNKNOWN, headers=CORRELATION)
    assert short.json["code"] == "ERR_NOT_FOUND"
    assert alike(short, long)


def key(services: Services, user: str, *scopes: Scope) -> Shown:
    services.accounts.create_user(user, Role.USER)
    return {"Authorization": f"Bearer {services.accounts.create_key(user, scopes)}", **CORRELATION}


def test_who_may_not_see_it_is_refused_as_ever(guarded: Services) -> None:
    client = create_app(guarded.settings, guarded).test_client()
    ann = key(guarded, "ann", Scope.READ, Scope.WRITE)
    request_id = client.post("/api/images/generate", json={"prompt": "a fox"}, headers=ann).json["requestId"]
    others = {
        404: key(guarded, "ben", Scope.READ),
        403: key(guarded, "eve", Scope.WRITE),
        401: CORRELATION,
    }
    for status, shown in {200: ann, **others}.items():
        short, long = both_ways(client, request_id, headers=shown)
        assert short.status_code == status
        assert alike(short, long)


def test_a_wrong_key_counts_once(guarded: Services) -> None:
    client = create_app(guarded.settings, guarded).test_client()
    wrong = {"Authorization": "Bearer imgk_0123456789abcdef_" + 64 * "0"}
    with patch("app.services.auth_throttle.Gate._count") as counted:
        assert client.get(f"/api/images/{UNKNOWN}/status", headers=wrong).status_code == 401
    assert counted.call_count == 1


def test_a_database_that_is_away_is_asked_once(client: FlaskClient) -> None:
    away = Unavailable("The database cannot be reached.", retry_after_s=2)
    with patch.object(Lookup, "glance", side_effect=away) as asked:
        answer = client.get(f"/api/images/{UNKNOWN}/status")
    assert (answer.status_code, answer.headers["Retry-After"], asked.call_count) == (503, "2", 1)


def test_a_mistake_of_ours_is_no_traceback(client: FlaskClient, capsys: pytest.CaptureFixture[str]) -> None:
    with patch.object(Lookup, "glance", side_effect=ZeroDivisionError):
        answer = client.get(f"/api/images/{UNKNOWN}/status")
    assert (answer.status_code, answer.json["code"]) == (500, "ERR_INTERNAL")
    lines = [json.loads(line) for line in capsys.readouterr().err.splitlines()]
    (broken,) = [line for line in lines if line["action"] == "http.broken"]
    assert broken["correlation_id"] == answer.json["correlationId"] == answer.headers["X-Correlation-Id"]


@pytest.mark.parametrize("host", ["rebound.example", "no host"])
def test_a_host_that_is_not_ours_is_refused_as_ever(client: FlaskClient, bench: Bench, host: str) -> None:
    short, long = both_ways(client, waiting(client, bench), headers={**CORRELATION, "Host": host})
    assert short.status_code in {400, 421}
    assert alike(short, long)


def test_a_page_of_another_origin_is_named_back(bench: Bench) -> None:
    settings = {"allowed_origins": network_settings.Origins.parse("https://page.example")}
    services = container.build(bench.with_settings(**settings).ports)
    client = create_app(services.settings, services).test_client()
    path = f"/api/images/{waiting(client, bench)}/status"
    answer = client.get(path, headers={"Origin": "https://page.example"})
    assert answer.headers["Access-Control-Allow-Origin"] == "https://page.example"


def test_behind_tls_it_is_said_as_ever_that_tls_is_to_be_used(bench: Bench) -> None:
    services = container.build(bench.with_settings(trusted_proxies=network_settings.networks("127.0.0.1")).ports)
    client = create_app(services.settings, services).test_client()
    proxied = {**CORRELATION, "X-Forwarded-Proto": "https", "X-Forwarded-Host": "img.example"}
    short, long = both_ways(client, waiting(client, bench), headers=proxied)
    assert "Strict-Transport-Security" in short.headers
    assert alike(short, long)


def test_a_poll_has_its_line_in_the_log(client: FlaskClient, bench: Bench, capsys: pytest.CaptureFixture[str]) -> None:
    request_id = waiting(client, bench)
    capsys.readouterr()
    both_ways(client, request_id, headers=CORRELATION)
    short, long = (json.loads(line) for line in capsys.readouterr().err.splitlines())
    assert short["correlation_id"] == "correlation-of-ours"
    assert {**short, "timestamp": "", "ms": 0} == {**long, "timestamp": "", "ms": 0}


@pytest.mark.parametrize("method", ["HEAD", "POST", "OPTIONS", "DELETE"])
def test_other_methods_are_for_flask(client: FlaskClient, bench: Bench, method: str) -> None:
    request_id = waiting(client, bench)
    with asking_flask(client) as asked:
        answer = client.open(f"/api/images/{request_id}/status", method=method)
    assert asked
    assert answer.status_code == (200 if method in {"HEAD", "OPTIONS"} else 405)


@pytest.mark.parametrize(
    "path", [f"/api/images/{UNKNOWN.upper()}/status", "/api/images/none/status", f"/api/images/{UNKNOWN}/status/"]
)
def test_what_is_no_plain_poll_is_for_flask(client: FlaskClient, path: str) -> None:
    with asking_flask(client) as asked:
        assert client.get(path).status_code == 404
    assert asked
