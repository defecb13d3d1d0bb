"""Repeated submissions over HTTP: the same answer, at no cost."""

from __future__ import annotations

import dataclasses
import json
import re
import shlex
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest
from flask.testing import FlaskClient
from werkzeug.datastructures import Headers
from werkzeug.test import TestResponse

from app import container
from app.container import Services
from app.domain.access import Role, Scope
from app.factory import create_app
from tests.support.fakes import Bench
from tests.support.redis import forget_limits
from tests.support.statements import recorded_statements

GENERATE = "/api/images/generate"
KEY = "Idempotency-Key"
REPLAYED = "Idempotency-Replayed"
FOX = {"prompt": "a fox", "userId": "ann"}
Make = Callable[..., FlaskClient]


@pytest.fixture
def make(bench: Bench, redis_url: str) -> Make:
    """An application with these limits, with buckets that are full and refill nothing during a test."""

    def made(**limits: int) -> FlaskClient:
        forget_limits(redis_url)
        changed = dataclasses.replace(bench.ports.settings.limits, rate_window_ms=3_600_000, **limits)
        services = container.build(bench.with_settings(limits=changed, redis_url=redis_url).ports)
        return create_app(services=services).test_client()

    return made


def submit(client: FlaskClient, key: str | None = '"key-1"', **more: Any) -> TestResponse:
    headers = {} if key is None else {KEY: key}
    return client.post(GENERATE, json={**FOX, **more}, headers=headers)


def listed(client: FlaskClient) -> int:
    return len(client.get("/api/images?limit=100").json["images"])


def test_a_repetition_gets_the_same_answer_and_says_so(client: FlaskClient) -> None:
    first, second = submit(client, deadlineMs=5_000), submit(client, deadlineMs=5_000)
    assert (first.status_code, second.status_code) == (200, 200)
    assert first.data == second.data
    assert first.content_type == second.content_type
    assert REPLAYED not in first.headers
    assert second.headers[REPLAYED] == "true"
    assert second.headers["X-Correlation-Id"] != second.json["correlationId"] == first.json["correlationId"]
    assert listed(client) == 1


def test_the_answer_stays_the_same_whatever_becomes_of_the_request(client: FlaskClient) -> None:
    first = submit(client)
    assert client.delete(f"/api/images/{first.json['requestId']}").status_code == 200
    assert submit(client).data == first.data


def test_the_key_may_have_quotes_or_not(client: FlaskClient) -> None:
    assert submit(client, '"key-1"').data == submit(client, "key-1").data
    assert listed(client) == 1


def test_a_request_without_a_key_is_submitted_each_time(client: FlaskClient) -> None:
    with recorded_statements("idempotency_keys") as statements:
        answers = [submit(client, None) for _ in range(2)]
    assert answers[0].json["requestId"] != answers[1].json["requestId"]
    assert not any(REPLAYED in answer.headers for answer in answers)
    assert statements == []


@pytest.mark.parametrize(
    "body",
    [
        b'{"userId":"ann","prompt":"a fox","parameters":{"b":[1],"a":2}}',
        b'\xef\xbb\xbf{ "prompt" : "a \\u0066ox", "parameters": {"a": 2, "b": [1]},\n "userId": "ann" }',
        b'{"prompt":"a fox","parameters":{"a":2,"b":[1],"quality":null},"userId":"ann","model":null,"deadlineMs":null}',
    ],
)
def test_the_body_may_be_written_otherwise(client: FlaskClient, body: bytes) -> None:
    first = submit(client, parameters={"a": 2, "b": [1]})
    second = client.post(GENERATE, data=body, headers={KEY: "key-1", "Content-Type": "application/json"})
    assert second.data == first.data


@pytest.mark.parametrize(
    "change",
    [{"prompt": "two foxes"}, {"model": "dall-e-3"}, {"parameters": {"width": 64}}, {"deadlineMs": 5_000}],
    ids=lambda change: next(iter(change)),
)
def test_another_body_is_refused(client: FlaskClient, change: dict[str, Any]) -> None:
    submit(client)
    answer = submit(client, **change)
    assert (answer.status_code, answer.json["code"]) == (422, "ERR_IDEMPOTENCY_KEY_REUSED")
    assert "send the same body again, or a new key" in answer.json["detail"]
    assert REPLAYED not in answer.headers
    assert listed(client) == 1


def test_the_same_key_of_another_user_is_another_key(client: FlaskClient) -> None:
    assert submit(client).json["requestId"] != submit(client, userId="bob").json["requestId"]


INVALID = {
    "empty": [""],
    "empty quotes": ['""'],
    "256 characters": ["k" * 256],
    "10 KB": ["k" * 10_240],
    "a NUL": ["a\x00b"],
    "a space": ["a b"],
    "beyond ASCII": ["cl\xe9"],
    "an open quote": ['"abc'],
    "two headers": ["abc", "def"],
    "the same header twice": ['"abc"', '"abc"'],
    "two headers, one of them empty": ["", "abc"],
}


@pytest.mark.parametrize("values", INVALID.values(), ids=INVALID)
def test_an_invalid_key_is_refused_with_the_name_of_the_header(client: FlaskClient, values: list[str]) -> None:
    answer = client.post(GENERATE, json=FOX, headers=Headers([(KEY, value) for value in values]))
    assert (answer.status_code, answer.json["code"]) == (400, "ERR_INVALID_REQUEST")
    assert answer.json["detail"].startswith(f"{KEY} must be sent once, with 1 to 255 visible ASCII characters")
    assert listed(client) == 0


def test_an_invalid_body_is_not_kept(client: FlaskClient) -> None:
    assert submit(client, prompt="").status_code == 400
    assert submit(client).status_code == 200


def test_a_request_over_the_rate_limit_is_not_kept(make: Make) -> None:
    client = make(rate_requests=1, rate_burst=1)
    assert submit(client, "key-1").status_code == 200
    assert submit(client, "key-2").status_code == 429
    full = make(rate_requests=1, rate_burst=1)
    answer = submit(full, "key-2", prompt="two foxes")
    assert (answer.status_code, REPLAYED in answer.headers) == (200, False)


def test_a_request_over_a_quota_is_not_kept_and_a_repetition_needs_none(make: Make) -> None:
    client = make(quota_waiting=1)
    first = submit(client, "key-1")
    assert submit(client, "key-2").json["code"] == "ERR_QUOTA_EXCEEDED"
    assert submit(client, "key-1").data == first.data
    client.delete(f"/api/images/{first.json['requestId']}")
    assert REPLAYED not in submit(client, "key-2", prompt="two foxes").headers


def test_a_request_that_finds_the_service_overloaded_is_not_kept(bench: Bench) -> None:
    full = container.build(bench.with_settings(max_waiting=1).ports)
    overloaded = create_app(full.settings, full).test_client()
    services = container.build(bench.ports)
    client = create_app(services.settings, services).test_client()
    first = submit(client, "key-1")
    assert submit(overloaded, "key-2").status_code == 503
    assert submit(overloaded, "key-1").data == first.data
    assert REPLAYED not in submit(client, "key-2", prompt="two foxes").headers


def test_repetitions_and_wrong_ones_cost_no_token(make: Make) -> None:
    client = make(rate_requests=2, rate_burst=2)
    first = submit(client)
    assert first.headers["X-RateLimit-Remaining"] == "1"
    for _ in range(5):
        again, wrong = submit(client), submit(client, prompt="two foxes")
        assert (again.data, wrong.status_code) == (first.data, 422)
        assert "X-RateLimit-Remaining" not in again.headers
    assert submit(client, None).headers["X-RateLimit-Remaining"] == "0"
    assert submit(client, None).status_code == 429
    assert submit(client).data == first.data


def test_copies_sent_at_the_same_time_cost_one_token(make: Make) -> None:
    application = make(rate_requests=1, rate_burst=1).application
    with ThreadPoolExecutor(16) as pool:
        answers = list(pool.map(lambda _: submit(application.test_client()), range(64)))
    assert {answer.status_code for answer in answers} == {200}
    assert len({answer.data for answer in answers}) == 1
    assert sum(REPLAYED in answer.headers for answer in answers) == 63


def test_a_key_is_looked_up_for_authenticated_callers_only(guarded: Services) -> None:
    client = create_app(guarded.settings, guarded).test_client()
    for user in ("ann", "bob"):
        guarded.accounts.create_user(user, Role.USER)
    keys = {user: str(guarded.accounts.create_key(user, (Scope.READ, Scope.WRITE))) for user in ("ann", "bob")}

    def post(user: str | None) -> TestResponse:
        headers = {KEY: "key-1"} | ({"Authorization": f"Bearer {keys[user]}"} if user else {})
        return client.post(GENERATE, json={"prompt": "a fox"}, headers=headers)

    first = post("ann")
    assert post("ann").data == first.data
    assert post("bob").json["requestId"] != first.json["requestId"]
    with recorded_statements("idempotency_keys") as statements:
        assert post(None).status_code == 401
    assert statements == []


def test_the_document_describes_header_answer_and_refusal(client: FlaskClient) -> None:
    described = client.get("/openapi.json").json["paths"][GENERATE]["post"]
    [header] = described["parameters"]
    assert (header["name"], header["in"], header["required"]) == (KEY, "header", False)
    assert REPLAYED in described["responses"]["200"]["headers"]
    assert "ERR_IDEMPOTENCY_KEY_REUSED" in json.dumps(described["responses"]["422"])
    assert KEY not in json.dumps(client.get("/openapi.json").json["paths"]["/api/auth/token"])


def test_the_example_of_the_documentation_works(client: FlaskClient) -> None:
    text = (Path(__file__).parents[2] / "docs" / "api.md").read_text("utf-8")
    found = re.search(r"curl -X POST \S+/api/images/generate .*?Idempotency-Key.*?\n\n", text, re.DOTALL)
    assert found is not None
    words = shlex.split(found[0].replace("\\\n", " "))
    options = list(pairwise(words))
    headers = dict(value.split(": ") for option, value in options if option == "-H")
    [body] = [value for option, value in options if option == "-d"]
    assert headers[KEY].startswith('"')
    first, second = (client.post(GENERATE, data=body, headers=headers) for _ in range(2))
    assert (first.status_code, second.headers[REPLAYED], second.data) == (200, "true", first.data)
