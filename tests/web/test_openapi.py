from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import pytest
from flask.testing import FlaskClient
from jsonschema import Draft202012Validator  # type: ignore[import-untyped]  # it ships no types
from openapi_spec_validator import validate
from sqlalchemy.exc import OperationalError

from app import container, logs
from app.container import Services
from app.domain import errors
from app.factory import create_app
from app.web import limits, request_context
from app.web.openapi import path
from tests.support import job_factory
from tests.support.downloads import URL
from tests.support.fakes import Bench
from tests.support.image_samples import png

REQUEST = "/api/images/550e8400-e29b-41d4-a716-446655440000"

# Served, but not operations of the API: documents about it, pages and their files, and the socket, which asyncapi.json
# describes.
ABOUT_THE_API = {"/", "/openapi.json", "/asyncapi.json", "/docs", "/docs/socket", "/static/<path:filename>", "/ws"}
ABOUT_THE_API |= {"/extension", "/extension/imagefleet-extension.zip", "/extension/demo"}


@pytest.fixture
def database_url(fresh_sqlite: str) -> str:
    """SQLite alone: the document does not depend on the database."""
    return fresh_sqlite


@pytest.fixture
def document(client: FlaskClient) -> Any:
    """The served document."""
    return client.get("/openapi.json").json


def _operations(document: Any) -> Iterator[tuple[str, Any]]:
    for address, item in document["paths"].items():
        for method, operation in item.items():
            yield f"{method} {address}", operation


def _fits(document: Any, schema: Any, value: Any) -> bool:
    return Draft202012Validator({**schema, "components": document["components"]}).is_valid(value)


def test_the_document_is_valid(document: Any) -> None:
    validate(document)
    assert document["openapi"] == "3.1.0"
    assert document["info"]["license"]["identifier"] == "MIT"
    assert document["servers"] == [{"url": "/"}]


@pytest.mark.parametrize(
    ("public_url", "server"), [("https://images.example/fleet", "/fleet"), ("https://images.example", "/")]
)
def test_the_server_is_the_path_that_callers_use(bench: Bench, public_url: str, server: str) -> None:
    services = container.build(bench.with_settings(public_url=public_url).ports)
    document = create_app(services.settings, services).test_client().get("/openapi.json").json
    assert document["servers"] == [{"url": server}]


def test_the_failure_codes_of_the_contract_are_explained(document: Any) -> None:
    failures = (
        errors.NO_EXTENSION,
        errors.RATE_LIMIT,
        errors.GENERATION_FAILED,
        errors.DOWNLOAD_FAILED,
        errors.TIMEOUT,
    )
    for code in failures:
        assert f"- `{code}`: " in document["info"]["description"]


def test_the_documented_headers_are_sent(document: Any) -> None:
    headers = document["components"]["headers"]
    assert headers[request_context.HEADER]["schema"]["pattern"] == f"^{logs.CORRELATION_ID.pattern}$"
    assert set(limits.HEADERS) <= set(headers)


def test_every_route_is_documented(client: FlaskClient, document: Any) -> None:
    served = {
        f"{method.lower()} {path(rule.rule)}"
        for rule in client.application.url_map.iter_rules()
        if rule.rule not in ABOUT_THE_API
        for method in (rule.methods or set()) - {"HEAD", "OPTIONS"}
    }
    assert served == {name for name, _ in _operations(document)}


def test_every_operation_has_a_described_tag(document: Any) -> None:
    explained = {tag["name"] for tag in document["tags"]}
    assert {tag for _, operation in _operations(document) for tag in operation["tags"]} == explained


def test_every_example_is_valid_against_its_schema(document: Any) -> None:
    shown = 0
    for name, operation in _operations(document):
        bodies = [*operation["responses"].values(), operation.get("requestBody", {})]
        for media in (media for body in bodies for media in body.get("content", {}).values()):
            examples = [each["value"] for each in media.get("examples", {}).values()]
            if "example" in media and not isinstance(media["example"], str):
                examples.append(media["example"])
            for example in examples:
                shown += 1
                assert _fits(document, media["schema"], example), (name, example)
        for parameter in operation["parameters"]:
            if "example" in parameter:
                shown += 1
                assert _fits(document, parameter["schema"], parameter["example"]), (name, parameter)
    assert shown > 50


def test_the_example_of_the_contract_is_shown_and_works(client: FlaskClient, document: Any) -> None:
    operation = document["paths"]["/api/images/generate"]["post"]
    body = operation["requestBody"]["content"]["application/json"]["example"]
    assert body == {
        "prompt": "A beautiful sunset over mountains",
        "model": "dall-e-3",
        "parameters": {"width": 1024, "height": 1024, "quality": "hd", "style": "natural", "numberOfImages": 1},
        "userId": "cli-user-123",
    }
    assert operation["responses"]["200"]["content"]["application/json"]["example"] == {
        "requestId": "550e8400-e29b-41d4-a716-446655440000",
        "status": "accepted",
        "message": "Image generation request submitted",
        "correlationId": "660e8400-e29b-41d4-a716-446655440001",
        "timestamp": "2024-01-14T12:00:00.000Z",
    }
    assert client.post("/api/images/generate", json=body).status_code == 200


def test_every_response_contains_the_correlation_id(document: Any) -> None:
    for name, operation in _operations(document):
        for status, answer in operation["responses"].items():
            assert "X-Correlation-Id" in answer["headers"], (name, status)


def test_an_unsupported_method_is_answered_as_documented(client: FlaskClient, document: Any) -> None:
    answer = client.patch(REQUEST)
    described = document["components"]["responses"]["MethodNotAllowed"]
    assert answer.status_code == 405
    assert set(described["headers"]) <= set(answer.headers.keys())
    assert _fits(document, described["content"][answer.content_type]["schema"], answer.json)


def test_generate_is_not_the_id_of_a_request(client: FlaskClient) -> None:
    for method in ("GET", "DELETE"):
        answer = client.open("/api/images/generate", method=method)
        assert answer.status_code == 405
        assert set(answer.headers["Allow"].split(", ")) == {"OPTIONS", "POST"}


def test_an_unavailable_service_answers_as_documented(
    client: FlaskClient, services: Services, document: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    def away(*_: Any) -> None:
        raise OperationalError("SELECT", {}, Exception("gone"))

    monkeypatch.setattr(services.ports.database.reader.pool, "connect", away)
    answer = client.get(REQUEST)
    described = document["paths"]["/api/images/{requestId}"]["get"]["responses"]["503"]
    assert answer.status_code == 503
    assert set(described["headers"]) <= set(answer.headers.keys())
    assert _fits(document, described["content"][answer.content_type]["schema"], answer.json)


def test_the_events_of_a_stream_are_as_documented(
    client: FlaskClient, services: Services, bench: Bench, document: Any
) -> None:
    job_factory.connect_extension(bench)
    job = job_factory.processing_job(bench)
    services.cancellation.cancel(job.id)
    stream = client.get(f"/api/images/{job.id}/events")
    schema = document["paths"]["/api/images/{requestId}/events"]["get"]["responses"]["200"]["content"][
        "text/event-stream"
    ]["schema"]
    _check_events(document, schema, stream.text, ["ImageGenerationAssignedEvent", "ImageGenerationCancelledEvent"])


def test_the_example_stream_is_as_documented(document: Any) -> None:
    [media] = document["paths"]["/api/images/{requestId}/events"]["get"]["responses"]["200"]["content"].values()
    _check_events(document, media["schema"], media["example"], ["ImageGenerationAssignedEvent", "progress"])


def _check_events(document: Any, schema: Any, text: str, names: list[str]) -> None:
    blocks = [block for block in text.strip().split("\n\n") if not block.startswith("retry:")]
    events = [dict(line.split(": ", 1) for line in block.splitlines()) for block in blocks]
    assert [event["event"] for event in events] == names
    for event in events:
        assert _fits(document, schema, event), event
        [described] = [kind for kind in schema["oneOf"] if kind["title"] == event["event"]]
        data = described["properties"]["data"]["contentSchema"]
        assert _fits(document, data, json.loads(event["data"])), event


@pytest.mark.parametrize("requested_range", ["", "items=0-5", "bytes=x", "bytes=0-1,3-4"])
def test_an_invalid_range_is_ignored(client: FlaskClient, picture: str, requested_range: str) -> None:
    answer = client.get(picture, headers={"Range": requested_range})
    assert answer.status_code == 200
    assert len(answer.data) == int(answer.headers["Content-Length"])


def test_responses_with_a_picture_have_the_documented_headers(client: FlaskClient, picture: str, document: Any) -> None:
    described = document["paths"]["/generated-images/{file}"]["get"]["responses"]
    etag = client.get(picture).headers["ETag"]
    for status, headers in {
        "200": {},
        "206": {"Range": "bytes=0-3"},
        "304": {"If-None-Match": etag},
        "416": {"Range": "bytes=99999-"},
    }.items():
        answer = client.get(picture, headers=headers)
        assert str(answer.status_code) == status
        for name in described[status]["headers"]:
            schema = document["components"]["headers"][name]["schema"]
            assert _fits(document, schema, answer.headers[name]), (status, name)


@pytest.fixture
def picture(bench: Bench, services: Services) -> str:
    """The path of a picture."""
    job_factory.connect_extension(bench)
    job = job_factory.report_generated(bench, job_factory.processing_job(bench), URL)
    bench.fetch.answers[URL] = png(8, 8)
    services.download.run()
    [image] = services.lookup.details(job.id).images
    return f"/generated-images/{image.file}"
