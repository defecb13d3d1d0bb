from __future__ import annotations

import json
from typing import Any

import pytest
from flask.testing import FlaskClient
from sqlalchemy.exc import OperationalError

from app.container import Services
from app.domain.batches import ItemError
from app.domain.errors import InvalidBatch


def test_an_unknown_path_is_a_problem(client: FlaskClient) -> None:
    answer = client.get("/nowhere")
    assert (answer.status_code, answer.json["code"]) == (404, "ERR_NOT_FOUND")
    assert answer.content_type == "application/problem+json"


def test_an_unsupported_method_is_a_problem_that_lists_the_supported_ones(client: FlaskClient) -> None:
    answer = client.put("/api/images/generate")
    assert (answer.status_code, answer.json["code"]) == (405, "ERR_METHOD_NOT_ALLOWED")
    assert "POST" in answer.headers["Allow"]
    assert "POST" in answer.json["detail"]


def test_a_body_that_is_too_large_is_a_problem(client: FlaskClient, services: Services) -> None:
    size = services.settings.max_body_bytes + 1
    answer = client.post("/api/images/generate", data=b"x" * size, content_type="application/json")
    assert (answer.status_code, answer.json["code"]) == (413, "ERR_PAYLOAD_TOO_LARGE")


@pytest.mark.parametrize(
    "content_type", [None, "text/plain", "application/x-www-form-urlencoded", "multipart/form-data"]
)
def test_a_body_that_is_not_json_is_a_problem(client: FlaskClient, content_type: str | None) -> None:
    answer = client.post("/api/images/generate", data='{"prompt":"a"}', content_type=content_type)
    assert (answer.status_code, answer.json["code"]) == (415, "ERR_UNSUPPORTED_MEDIA_TYPE")
    assert "application/json" in answer.json["detail"]


def test_an_unexpected_error_is_a_problem_without_a_traceback(
    client: FlaskClient, services: Services, monkeypatch: pytest.MonkeyPatch
) -> None:
    def broken(*_: Any) -> None:
        raise RuntimeError("secret detail")

    monkeypatch.setattr(type(services.submission), "submit", broken)
    answer = client.post("/api/images/generate", json={"prompt": "a"})
    assert (answer.status_code, answer.json["code"]) == (500, "ERR_INTERNAL")
    assert "secret" not in answer.text
    assert "Traceback" not in answer.text


def test_an_unexpected_error_is_logged_under_the_correlation_id_of_its_response(
    client: FlaskClient, services: Services, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(type(services.lookup), "picture", lambda *_: 1 / 0)
    answer = client.get("/generated-images/550e8400-e29b-41d4-a716-446655440000_1.png")
    lines = [json.loads(line) for line in capsys.readouterr().err.splitlines()]
    (broken,) = [line for line in lines if line["action"] == "http.broken"]
    assert broken["correlation_id"] == answer.json["correlationId"] == answer.headers["X-Correlation-Id"]


def test_every_request_is_logged(client: FlaskClient, capsys: pytest.CaptureFixture[str]) -> None:
    client.put("/health?secret=1", headers={"X-Correlation-Id": "correlation-of-ours"})
    (line,) = [json.loads(line) for line in capsys.readouterr().err.splitlines()]
    assert isinstance(line.pop("ms"), int)
    assert {name: line[name] for name in ("action", "method", "path", "status", "correlation_id")} == {
        "action": "http",
        "method": "PUT",
        "path": "/health",
        "status": 405,
        "correlation_id": "correlation-of-ours",
    }


def test_an_unreachable_database_is_a_problem_with_retry_after(
    client: FlaskClient, services: Services, monkeypatch: pytest.MonkeyPatch
) -> None:
    def away(*_: Any) -> None:
        raise OperationalError("SELECT", {}, Exception("gone"))

    monkeypatch.setattr(services.ports.database.reader.pool, "connect", away)
    answer = client.post("/api/images/generate", json={"prompt": "a"})
    assert (answer.status_code, answer.json["code"]) == (503, "ERR_UNAVAILABLE")
    assert int(answer.headers["Retry-After"]) > 0
    health = client.get("/health")
    assert (health.status_code, health.json["status"]) == (503, "unhealthy")


def test_a_valid_correlation_id_is_used(client: FlaskClient, services: Services) -> None:
    given = "my-own.id_2024"
    answer = client.post("/api/images/generate", json={"prompt": "a"}, headers={"X-Correlation-Id": given})
    assert answer.headers["X-Correlation-Id"] == given
    assert answer.json["correlationId"] == given
    assert services.lookup.details(answer.json["requestId"]).job.correlation_id == given


@pytest.mark.parametrize("given", ["short", "x" * 129, "has blanks here", "semi;colon;here", "ünïcödé-id"])
def test_an_invalid_correlation_id_is_replaced(client: FlaskClient, given: str) -> None:
    answer = client.get("/health", headers={"X-Correlation-Id": given})
    assert answer.headers["X-Correlation-Id"] != given
    assert len(answer.headers["X-Correlation-Id"]) == 36


def test_what_is_wrong_with_the_items_of_a_batch_is_listed_in_the_problem(
    client: FlaskClient, services: Services, monkeypatch: pytest.MonkeyPatch
) -> None:
    errors = [ItemError(3, "p1", "prompt", "prompt is empty."), ItemError(4, None, None, "The line is not valid JSON.")]

    def refuse(*_: Any) -> None:
        raise InvalidBatch("2 of 4 items are invalid.", errors)

    monkeypatch.setattr(type(services.lookup), "picture", refuse)
    answer = client.get("/generated-images/550e8400-e29b-41d4-a716-446655440000_1.png")
    assert (answer.status_code, answer.json["code"]) == (400, "ERR_INVALID_BATCH")
    assert answer.json["errors"] == [
        {"line": 3, "customId": "p1", "field": "prompt", "reason": "prompt is empty."},
        {"line": 4, "reason": "The line is not valid JSON."},
    ]
