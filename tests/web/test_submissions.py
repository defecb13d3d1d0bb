"""Requests for pictures that are taken before Flask is asked: word for word as Flask would, and no further than that."""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Mapping
from typing import Any
from unittest.mock import patch

import pytest
from flask.testing import FlaskClient
from werkzeug.test import TestResponse

from app import container
from app.container import Services
from app.domain.access import Role, Scope
from app.domain.errors import BodyTooSlow
from app.factory import create_app
from app.services.submission import Submission
from tests.support.fakes import Bench
from tests.web.test_polls import CORRELATION, asking_flask

GENERATE = "/api/images/generate"
THE_LONG_WAY = f"{GENERATE}?nothing=known"  # queries are left to Flask, and this one says nothing
JSON = {"Content-Type": "application/json"}
FOX = {"prompt": "a fox", "userId": "ann", "parameters": {"width": 64}}
LEFT = ("X-RateLimit-Remaining", "X-RateLimit-Reset")


def both_ways(
    client: FlaskClient, body: object, headers: Mapping[str, str] | None = None
) -> tuple[TestResponse, TestResponse]:
    """The answer to a request, and Flask's to the same; the first was not Flask's where it was a good one."""
    data = body if isinstance(body, bytes) else json.dumps(body).encode()
    shown = {**JSON, **CORRELATION, **(headers or {})}
    with asking_flask(client) as asked:
        short = client.post(GENERATE, data=data, headers=shown)
        assert bool(asked) == (short.status_code != 200)
        long = client.post(THE_LONG_WAY, data=data, headers=shown)
        assert asked
    return short, long


def told(answer: TestResponse) -> tuple[str, dict[str, str], dict[str, Any]]:
    """What it says, but for what is another each time."""
    said: Any = answer.json
    headers = {name: "" if name in LEFT else value for name, value in answer.headers}
    assert len(headers) == len(list(answer.headers))
    return answer.status, headers, {**said, "timestamp": "now", "requestId": "an id"}


@pytest.mark.parametrize("body", [FOX, {"prompt": "ein Füchslein \U0001f98a"}, {"prompt": "a fox", "deadlineMs": 5000}])
def test_a_request_is_answered_as_flask_would_answer_it(client: FlaskClient, body: object) -> None:
    short, long = both_ways(client, body)
    assert short.status_code == 200
    assert told(short) == told(long)
    assert short.json["requestId"] != long.json["requestId"]


def test_it_is_kept_as_it_was_sent(client: FlaskClient, services: Services) -> None:
    short, long = both_ways(client, FOX)
    jobs = [services.lookup.view(answer.json["requestId"]).job for answer in (short, long)]
    kept = [(job.prompt, job.user_id, job.model, job.parameters, job.correlation_id) for job in jobs]
    assert kept[0] == kept[1] == ("a fox", "ann", "dall-e-3", {"width": 64}, "correlation-of-ours")


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"{",
        b"\xff",
        b"[]",
        b'{"prompt": "a", "prompt": "b"}',
        {},
        {"prompt": ""},
        {"prompt": "a fox", "unknown": 1},
        {"prompt": "a fox", "userId": 7},
        {"prompt": "a fox", "parameters": {"width": 1}},
    ],
)
def test_what_cannot_be_read_is_refused_as_ever_and_not_counted(client: FlaskClient, body: object) -> None:
    short, long = both_ways(client, body)
    assert short.status_code == 400
    assert told(short) == told(long)
    assert "X-RateLimit-Limit" not in short.headers


def test_who_may_not_submit_is_refused_as_ever(guarded: Services) -> None:
    client = create_app(guarded.settings, guarded).test_client()
    shown = {401: {}, 403: key(guarded, "eve", Scope.READ), 200: key(guarded, "ann", Scope.WRITE)}
    for status, headers in shown.items():
        short, long = both_ways(client, {"prompt": "a fox"}, headers)
        assert short.status_code == status
        assert told(short) == told(long)


def key(services: Services, user: str, *scopes: Scope) -> dict[str, str]:
    services.accounts.create_user(user, Role.USER)
    return {"Authorization": f"Bearer {services.accounts.create_key(user, scopes)}"}


def test_nobody_speaks_for_another(guarded: Services) -> None:
    client = create_app(guarded.settings, guarded).test_client()
    short, long = both_ways(client, {"prompt": "a fox", "userId": "ben"}, key(guarded, "ann", Scope.WRITE))
    assert short.json["code"] == "ERR_FORBIDDEN"
    assert told(short) == told(long)


def test_a_refusal_for_a_quota_costs_one_token(bench: Bench) -> None:
    client = limited(bench, quota_waiting=1)
    left = [int(answer.headers["X-RateLimit-Remaining"]) for answer in (submit(client), refused(client))]
    assert left[0] - left[1] == 1


def test_a_limit_that_is_reached_is_told_as_ever(bench: Bench) -> None:
    client = limited(bench, rate_requests=1, rate_burst=1, rate_window_ms=3_600_000)
    submit(client)
    short, long = both_ways(client, {"prompt": "a fox"})
    assert short.json["code"] == "ERR_RATE_LIMIT"
    assert told(short)[2].keys() == told(long)[2].keys()
    assert set(short.headers.keys()) == set(long.headers.keys()) >= {"Retry-After", *LEFT}


def limited(bench: Bench, **limits: int) -> FlaskClient:
    """An application with these limits, of which nothing was used."""
    settings = bench.ports.settings
    changed = {"rate_requests": 100, "rate_burst": 20, **limits}
    services = container.build(bench.with_settings(limits=dataclasses.replace(settings.limits, **changed)).ports)
    return create_app(services.settings, services).test_client()


def submit(client: FlaskClient) -> TestResponse:
    answer = client.post(GENERATE, json={"prompt": "a fox"})
    assert answer.status_code == 200
    return answer


def refused(client: FlaskClient) -> TestResponse:
    answer = client.post(GENERATE, json={"prompt": "a fox"})
    assert answer.json["code"] == "ERR_QUOTA_EXCEEDED"
    return answer


def test_a_mistake_of_ours_is_no_traceback_and_made_once(client: FlaskClient) -> None:
    with patch.object(Submission, "submit", side_effect=ZeroDivisionError) as asked:
        answer = client.post(GENERATE, json=FOX)
    assert (answer.status_code, answer.json["code"], asked.call_count) == (500, "ERR_INTERNAL", 1)
    assert "X-RateLimit-Limit" not in answer.headers


class Trickle:
    """A body that comes in pieces, and ends as told."""

    def __init__(self, body: bytes, end: Exception | None = None) -> None:
        self._left = [body[at : at + 7] for at in range(0, len(body), 7)]
        self._end = end

    def read(self, size: int) -> bytes:
        """A piece of at most that size."""
        if not self._left and self._end is not None:
            raise self._end
        return self._left.pop(0)[:size] if self._left else b""


def from_trickle(client: FlaskClient, trickle: Trickle, length: int) -> TestResponse:
    with asking_flask(client):
        return client.post(
            GENERATE,
            headers=JSON,
            environ_overrides={"wsgi.input": trickle, "CONTENT_LENGTH": str(length)},
        )


def test_a_body_may_come_in_pieces(client: FlaskClient) -> None:
    body = json.dumps(FOX).encode()
    assert from_trickle(client, Trickle(body), len(body)).status_code == 200


@pytest.mark.parametrize(
    ("end", "status", "code"),
    [
        (None, 400, "ERR_INVALID_JSON"),
        (ConnectionResetError(), 400, "ERR_INVALID_REQUEST"),
        (BodyTooSlow(), 408, "ERR_BODY_TOO_SLOW"),
    ],
)
def test_a_body_that_does_not_come_whole_is_refused(
    client: FlaskClient, end: Exception | None, status: int, code: str
) -> None:
    body = json.dumps(FOX).encode()
    answer = from_trickle(client, Trickle(body[:-1], end), len(body))
    assert (answer.status_code, answer.json["code"]) == (status, code)


@pytest.mark.parametrize("length", ["", "x", "-1", "+5", "²", "9" * 30, "1_0"])
def test_a_length_that_is_none_is_left_to_flask(client: FlaskClient, length: str) -> None:
    with asking_flask(client) as asked:
        client.post(GENERATE, data=b"{}", headers=JSON, environ_overrides={"CONTENT_LENGTH": length})
    assert asked


@pytest.mark.parametrize(
    ("headers", "status"),
    [
        ({"Content-Type": "text/plain"}, 415),
        ({"Content-Type": "application/json; charset=utf-8"}, 200),
        ({**JSON, "Origin": "https://elsewhere.example"}, 200),
    ],
)
def test_what_is_out_of_the_ordinary_is_for_flask(client: FlaskClient, headers: dict[str, str], status: int) -> None:
    with asking_flask(client) as asked:
        assert client.post(GENERATE, data=json.dumps(FOX), headers=headers).status_code == status
    assert asked


def test_a_body_that_comes_in_chunks_is_for_flask(client: FlaskClient) -> None:
    terminated = {"wsgi.input_terminated": True, "HTTP_TRANSFER_ENCODING": "chunked"}
    with asking_flask(client) as asked:
        answer = client.post(GENERATE, data=json.dumps(FOX), headers=JSON, environ_overrides=terminated)
    assert answer.status_code == 200
    assert asked


def test_a_body_that_is_too_large_is_not_read(bench: Bench) -> None:
    services = container.build(bench.with_settings(max_body_bytes=50).ports)
    client = create_app(services.settings, services).test_client()
    short, long = both_ways(client, {"prompt": 100 * "x"})
    assert short.status_code == 413
    assert told(short) == told(long)
    assert client.post(GENERATE, json={"prompt": 10 * "x"}).status_code == 200


def test_a_request_has_its_line_in_the_log(client: FlaskClient, capsys: pytest.CaptureFixture[str]) -> None:
    capsys.readouterr()
    both_ways(client, FOX)
    lines = [json.loads(line) for line in capsys.readouterr().err.splitlines()]
    short, long = (line for line in lines if line["action"] == "http")
    assert {**short, "timestamp": "", "ms": 0} == {**long, "timestamp": "", "ms": 0}


def test_other_methods_are_for_flask(client: FlaskClient) -> None:
    with asking_flask(client) as asked:
        assert client.put(GENERATE, json=FOX).status_code == 405
    assert asked
