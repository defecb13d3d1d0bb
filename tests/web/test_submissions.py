"""Submissions: what is stored, what counts against the limits, and broken bodies."""

from __future__ import annotations

import dataclasses
import gzip
import json
from typing import Any

import pytest
from flask.testing import FlaskClient
from werkzeug.test import TestResponse

from app import container
from app.container import Services
from app.domain.errors import BodyTooSlow
from app.factory import create_app
from tests.support.fakes import Bench

GENERATE = "/api/images/generate"
JSON = {"Content-Type": "application/json"}
FOX = {"prompt": "a fox", "userId": "ann", "parameters": {"width": 64}}


def test_a_submission_is_stored_as_it_was_sent(client: FlaskClient, services: Services) -> None:
    answer = client.post(GENERATE, json=FOX, headers={"X-Correlation-Id": "correlation-of-ours"})
    job = services.lookup.details(answer.json["requestId"]).job
    stored = (job.prompt, job.user_id, job.model, job.parameters, job.correlation_id)
    assert stored == ("a fox", "ann", "dall-e-3", {"width": 64}, "correlation-of-ours")


def test_a_field_that_is_null_counts_as_absent(client: FlaskClient, services: Services) -> None:
    names = ("model", "userId", "parameters", "deadlineMs", "style", "variables", "a field that does not exist")
    answer = client.post(GENERATE, json={"prompt": "a fox", **dict.fromkeys(names)})
    job = services.lookup.details(answer.json["requestId"]).job
    assert (job.user_id, job.model, job.any_model, job.parameters, job.deadline_at) == (
        "cli-user",
        "dall-e-3",
        True,
        {},
        None,
    )
    assert client.post(GENERATE, json={"prompt": None}).json["code"] == "ERR_INVALID_PROMPT"


@pytest.mark.parametrize("body", [b"", b"{", b"\xff", b"[]", b"{}", b'{"prompt": "a fox", "unknown": 1}'])
def test_an_invalid_submission_is_not_counted(bench: Bench, body: bytes) -> None:
    client = limited(bench)
    answer = client.post(GENERATE, data=body, headers=JSON)
    assert answer.status_code == 400
    assert "X-RateLimit-Limit" not in answer.headers
    assert "X-RateLimit-Limit" in client.post(GENERATE, json=FOX).headers


def test_a_refusal_for_a_quota_costs_one_token(bench: Bench) -> None:
    client = limited(bench, quota_waiting=1)
    accepted, refused = (client.post(GENERATE, json={"prompt": "a fox"}) for _ in range(2))
    assert (accepted.status_code, refused.json["code"]) == (200, "ERR_QUOTA_EXCEEDED")
    left = [int(answer.headers["X-RateLimit-Remaining"]) for answer in (accepted, refused)]
    assert left[0] - left[1] == 1


def test_a_submission_over_the_limit_is_refused_with_the_time_to_wait(bench: Bench) -> None:
    client = limited(bench, rate_requests=1, rate_burst=1, rate_window_ms=3_600_000)
    accepted, refused = (client.post(GENERATE, json={"prompt": "a fox"}) for _ in range(2))
    assert (accepted.status_code, refused.status_code, refused.json["code"]) == (200, 429, "ERR_RATE_LIMIT")
    assert int(refused.headers["Retry-After"]) > 3_000
    assert refused.headers["X-RateLimit-Remaining"] == "0"


def limited(bench: Bench, **limits: int) -> FlaskClient:
    """An application with these limits and full buckets."""
    changed = {"rate_requests": 100, "rate_burst": 20, **limits}
    settings = bench.with_settings(limits=dataclasses.replace(bench.ports.settings.limits, **changed))
    services = container.build(settings.ports)
    return create_app(services.settings, services).test_client()


class Trickle:
    """A body that arrives in pieces, and then ends or fails."""

    def __init__(self, body: bytes, end: Exception | None = None) -> None:
        self._left = [body[at : at + 7] for at in range(0, len(body), 7)]
        self._end = end

    def read(self, size: int) -> bytes:
        """Read a piece of at most that size."""
        if not self._left and self._end is not None:
            raise self._end
        return self._left.pop(0)[:size] if self._left else b""


def post(client: FlaskClient, **environ: Any) -> TestResponse:
    return client.post(GENERATE, headers=JSON, environ_overrides=environ)


def test_a_body_may_arrive_in_pieces(client: FlaskClient) -> None:
    body = json.dumps(FOX).encode()
    answer = post(client, **{"wsgi.input": Trickle(body), "CONTENT_LENGTH": str(len(body))})
    assert answer.status_code == 200


def test_a_body_may_be_chunked(client: FlaskClient) -> None:
    body = Trickle(json.dumps(FOX).encode())
    chunked = {"wsgi.input": body, "wsgi.input_terminated": True, "HTTP_TRANSFER_ENCODING": "chunked"}
    assert post(client, **chunked).status_code == 200


@pytest.mark.parametrize(
    ("end", "status", "code"),
    [
        (None, 400, "ERR_INVALID_REQUEST"),
        (ConnectionResetError(), 400, "ERR_INVALID_REQUEST"),
        (BodyTooSlow(), 408, "ERR_BODY_TOO_SLOW"),
    ],
)
def test_an_incomplete_body_is_refused(client: FlaskClient, end: Exception | None, status: int, code: str) -> None:
    body = json.dumps(FOX).encode()
    answer = post(client, **{"wsgi.input": Trickle(body[:-1], end), "CONTENT_LENGTH": str(len(body))})
    assert (answer.status_code, answer.json["code"]) == (status, code)


@pytest.mark.parametrize("length", ["", "x", "-1", "+5", "²", "1_0"])
def test_a_body_without_a_valid_length_is_not_read(client: FlaskClient, length: str) -> None:
    answer = post(client, **{"wsgi.input": Trickle(json.dumps(FOX).encode()), "CONTENT_LENGTH": length})
    assert (answer.status_code, answer.json["code"]) == (400, "ERR_INVALID_JSON")


def test_a_body_that_is_too_large_is_not_read(bench: Bench) -> None:
    services = container.build(bench.with_settings(max_body_bytes=50).ports)
    client = create_app(services.settings, services).test_client()
    unreadable = Trickle(b"", AssertionError("the body was read"))
    answer = post(client, **{"wsgi.input": unreadable, "CONTENT_LENGTH": "51"})
    assert (answer.status_code, answer.json["code"]) == (413, "ERR_PAYLOAD_TOO_LARGE")
    assert client.post(GENERATE, json={"prompt": 10 * "x"}).status_code == 200


def test_the_content_type_may_name_the_encoding(client: FlaskClient) -> None:
    answer = client.post(GENERATE, data=json.dumps(FOX), content_type="application/json; charset=utf-8")
    assert answer.status_code == 200


@pytest.mark.parametrize("mark", [b"", b"\xef\xbb\xbf"])
def test_a_byte_order_mark_before_json_is_skipped(client: FlaskClient, mark: bytes) -> None:
    answer = client.post(GENERATE, data=mark + json.dumps(FOX).encode(), headers=JSON)
    assert answer.status_code == 200


@pytest.mark.parametrize(
    "body", [b"\xef\xbb\xbf", b"\xef\xbb\xbf" * 2 + b"{}", b"\xff\xfe{\x00}\x00", b"{}\xef\xbb\xbf"]
)
def test_a_byte_order_mark_elsewhere_or_of_another_encoding_is_no_json(client: FlaskClient, body: bytes) -> None:
    assert client.post(GENERATE, data=body, headers=JSON).json["code"] == "ERR_INVALID_JSON"


@pytest.mark.parametrize("encoding", ["gzip", "GZIP", "deflate", "br", "zstd", "identity, gzip", "x" * 200])
def test_a_compressed_body_is_refused_with_the_name_of_the_header(client: FlaskClient, encoding: str) -> None:
    headers = {**JSON, "Content-Encoding": encoding}
    for answer in (
        client.post(GENERATE, data=gzip.compress(json.dumps(FOX).encode()), headers=headers),
        client.put("/api/uploads/x?attempt=1&expires=1&signature=x", data=b"x", headers=headers),
    ):
        assert (answer.status_code, answer.json["code"]) == (415, "ERR_UNSUPPORTED_MEDIA_TYPE")
        assert f"Content-Encoding: {encoding[:60]}" in answer.json["detail"].replace("'", "")


@pytest.mark.parametrize("encoding", ["identity", "Identity", ""])
def test_a_body_that_is_explicitly_not_compressed_is_accepted(client: FlaskClient, encoding: str) -> None:
    assert client.post(GENERATE, json=FOX, headers={"Content-Encoding": encoding}).status_code == 200


@pytest.mark.parametrize(
    ("field", "value", "meant"),
    [
        ("size", "1024x1024", "parameters.width and parameters.height"),
        ("n", 2, "parameters.numberOfImages"),
        ("num_images", 2, "parameters.numberOfImages"),
        ("numberOfImages", 2, "parameters.numberOfImages"),
        ("negative_prompt", "blur", "parameters.negativePrompt"),
        ("negativePrompt", "blur", "parameters.negativePrompt"),
        ("width", 64, "parameters.width"),
        ("seed", 7, "parameters.seed"),
        ("user", "ann", "userId"),
        ("timeout", 7, "deadlineMs"),
    ],
)
def test_a_field_known_from_other_services_is_refused_with_the_right_one(
    client: FlaskClient, field: str, value: object, meant: str
) -> None:
    answer = client.post(GENERATE, json={**FOX, field: value})
    assert answer.status_code == 400
    assert f"unknown field: {field}. Use {meant}" in answer.json["detail"]


def test_another_unknown_field_is_named(client: FlaskClient) -> None:
    answer = client.post(GENERATE, json={**FOX, "unknown": 1})
    assert answer.json["detail"] == (
        "The body contains an unknown field: unknown. Options of a generator belong into parameters."
    )
