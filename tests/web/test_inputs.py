"""Input pictures over HTTP."""

from __future__ import annotations

import dataclasses
import hashlib
import io
from typing import Any

import pytest
from flask.testing import FlaskClient

from app import container
from app.container import Services
from app.db.fleet import Socket
from app.domain.access import Role, Scope
from app.domain.messages import Authenticate, ExtensionMetadata
from app.factory import create_app
from tests.support.fakes import Bench
from tests.support.image_samples import png

INPUTS = "/api/inputs"
UNKNOWN = "550e8400-e29b-41d4-a716-446655440000"
SVG = b'<svg xmlns="http://www.w3.org/2000/svg"/>'


def send(client: FlaskClient, data: bytes, content_type: str = "application/octet-stream", **more: Any) -> Any:
    return client.post(INPUTS, data=data, content_type=content_type, **more)


def form(client: FlaskClient, **fields: Any) -> Any:
    return client.post(INPUTS, data=fields, content_type="multipart/form-data")


def file(data: bytes, name: str = "a.png") -> tuple[io.BytesIO, str]:
    return io.BytesIO(data), name


@pytest.fixture
def small(bench: Bench) -> FlaskClient:
    """A client of a service that accepts pictures of 4,000 bytes."""
    services = container.build(bench.with_settings(max_image_bytes=4_000).ports)
    return create_app(services.settings, services).test_client()


@pytest.mark.parametrize("content_type", ["application/octet-stream", "image/png", "image/jpeg", "image/webp"])
def test_a_file_becomes_an_input(client: FlaskClient, content_type: str) -> None:
    answer = send(client, png(8, 6), content_type)
    assert answer.status_code == 201, answer.text
    found = client.get(f"{INPUTS}/{answer.json['inputId']}").json
    for each in (answer.json, found):
        assert (each["width"], each["height"], each["mimeType"], each["userId"]) == (8, 6, "image/png", "cli-user")
    assert {name: found[name] for name in ("bytes", "sha256", "expiresAt")} == {
        name: answer.json[name] for name in ("bytes", "sha256", "expiresAt")
    }


def test_a_file_in_a_form_becomes_the_same(client: FlaskClient) -> None:
    answer = form(client, file=file(png(8, 6)), other="ignored")
    assert answer.status_code == 201, answer.text
    assert answer.json["sha256"] == send(client, png(8, 6)).json["sha256"]


def test_an_input_is_removed(client: FlaskClient) -> None:
    path = f"{INPUTS}/{send(client, png()).json['inputId']}"
    assert client.delete(path).json["message"] == "The input picture is removed"
    for answer in (client.delete(path), client.get(path), client.get(f"{INPUTS}/nonsense")):
        assert (answer.status_code, answer.json["code"]) == (404, "ERR_NOT_FOUND")


def test_the_file_of_an_input_is_not_served(client: FlaskClient, bench: Bench) -> None:
    send(client, png())
    [name] = bench.files()
    assert client.get(f"/generated-images/{name}").status_code == 404


@pytest.mark.parametrize("data", [b"", SVG, b"GIF89a" + bytes(40)])
def test_what_is_no_picture_is_refused(client: FlaskClient, bench: Bench, data: bytes) -> None:
    for answer in (send(client, data), send(client, data, "image/png"), form(client, file=file(data, "a.svg"))):
        assert (answer.status_code, answer.json["code"]) == (400, "ERR_INVALID_REQUEST")
    assert bench.files() == []


def test_a_damaged_picture_is_refused_with_a_code_of_its_own(client: FlaskClient) -> None:
    answer = send(client, png()[:-20])
    assert (answer.status_code, answer.json["code"]) == (400, "ERR_INVALID_IMAGE")


@pytest.mark.parametrize("length", [4_001, 20_000_000])
def test_a_large_file_is_refused_by_its_size(small: FlaskClient, bench: Bench, length: int) -> None:
    data = png() + bytes(length - len(png()))
    unannounced = small.post(
        INPUTS,
        input_stream=io.BytesIO(data),
        headers={"Content-Type": "application/octet-stream"},
        environ_overrides={"wsgi.input_terminated": True},
    )
    for answer in (send(small, data), form(small, file=file(data)), unannounced):
        assert (answer.status_code, answer.json["code"]) == (413, "ERR_PAYLOAD_TOO_LARGE"), answer.text
        assert "4000 bytes" in answer.json["detail"]
    assert bench.files() == []


def test_a_form_needs_one_file_in_its_field(client: FlaskClient) -> None:
    for fields in ({}, {"image": file(png())}, {"file": "text"}, {"file": [file(png()), file(png())]}):
        answer = form(client, **fields)
        assert (answer.status_code, answer.json["code"]) == (400, "ERR_INVALID_REQUEST")
        assert "the field file" in answer.json["detail"]
    broken = client.post(INPUTS, data=b"--x\r\nnonsense", content_type="multipart/form-data; boundary=x")
    assert broken.status_code == 400


def test_a_form_may_not_be_long_beside_its_file(client: FlaskClient) -> None:
    answer = form(client, file=file(png()), other="x" * 70_000)
    assert answer.status_code == 413
    assert form(client, file=file(png()), **{f"f{n}": "x" for n in range(200)}).status_code == 413


@pytest.mark.parametrize("content_type", ["application/json", "text/plain", "image/svg+xml", "", "image/gif"])
def test_other_content_types_are_refused(client: FlaskClient, content_type: str) -> None:
    answer = client.post(INPUTS, data=png(), headers={"Content-Type": content_type})
    assert (answer.status_code, answer.json["code"]) == (415, "ERR_UNSUPPORTED_MEDIA_TYPE")


def test_a_compressed_body_is_refused(client: FlaskClient) -> None:
    assert send(client, png(), headers={"Content-Encoding": "gzip"}).status_code == 415


def test_inputs_belong_to_the_users_of_their_keys(guarded: Services) -> None:
    client = create_app(guarded.settings, guarded).test_client()
    keys = {}
    for name, role in (("ann", Role.USER), ("ben", Role.USER), ("olga", Role.OPERATOR)):
        guarded.accounts.create_user(name, role)
        scopes = (Scope.READ, Scope.WRITE, *((Scope.ADMIN,) if role is Role.OPERATOR else ()))
        keys[name] = {"Authorization": f"Bearer {guarded.accounts.create_key(name, scopes)}"}
    assert send(client, png()).status_code == 401
    path = f"{INPUTS}/{send(client, png(), headers=keys['ann']).json['inputId']}"
    assert client.get(path, headers=keys["ben"]).status_code == 404
    assert client.delete(path, headers=keys["ben"]).status_code == 404
    assert client.get(path, headers=keys["olga"]).json["userId"] == "ann"
    foreign = client.post(f"{INPUTS}?userId=ann", data=png(), content_type="image/png", headers=keys["ben"])
    assert (foreign.status_code, foreign.json["code"]) == (403, "ERR_FORBIDDEN")
    assert client.delete(path, headers=keys["ann"]).status_code == 200


def test_an_upload_costs_a_token(bench: Bench) -> None:
    limits = bench.ports.settings.limits
    services = container.build(
        bench.with_settings(limits=dataclasses.replace(limits, rate_requests=1, rate_burst=2)).ports
    )
    client = create_app(services.settings, services).test_client()
    answers = [send(client, png()) for _ in range(2)] + [client.post("/api/images/generate", json={"prompt": "a fox"})]
    assert [answer.status_code for answer in answers] == [201, 201, 429]


# -- requests with input pictures


def offered(services: Services, bench: Bench, client: FlaskClient, **more: Any) -> tuple[str, dict[str, Any]]:
    """A request that an extension holds, and the input picture of its offer."""
    services.extensions.hub_heartbeat("hub-1")
    hello = Authenticate(extension_id="e1", metadata=ExtensionMetadata(capabilities=("*", "image-variation")))
    services.extensions.connected(hello, Socket("hub-1", "socket-1"))
    body = {"prompt": "a fox", "inputImages": [{"inputId": send(client, png(8, 6)).json["inputId"], **more}]}
    answer = client.post("/api/images/generate", json=body)
    assert answer.status_code == 200, answer.text
    assert services.dispatch.assign_waiting() == 1
    return answer.json["requestId"], bench.bus.sent("generate_image")[-1]["inputImages"][0]


def test_an_extension_downloads_the_picture_without_a_credential(
    client: FlaskClient, services: Services, bench: Bench
) -> None:
    _, picture = offered(services, bench, client, strength=0.5)
    answer = client.get(picture["url"], headers={"Origin": "https://elsewhere.example"})
    assert (answer.status_code, answer.content_type) == (200, "image/png")
    assert hashlib.sha256(answer.data).hexdigest() == picture["sha256"]
    assert answer.content_length == len(answer.data)
    assert answer.headers["Cache-Control"] == "no-store"
    assert answer.headers["X-Content-Type-Options"] == "nosniff"
    assert answer.headers["Cross-Origin-Resource-Policy"] == "cross-origin"
    assert "sandbox" in answer.headers["Content-Security-Policy"]


def test_an_address_is_no_longer_valid_when_its_attempt_has_ended(
    client: FlaskClient, services: Services, bench: Bench
) -> None:
    request_id, picture = offered(services, bench, client)
    client.delete(f"/api/images/{request_id}")
    answer = client.get(picture["url"])
    assert (answer.status_code, answer.json["code"]) == (403, "ERR_FORBIDDEN")


def test_a_forged_address_is_refused(client: FlaskClient, services: Services, bench: Bench) -> None:
    _, picture = offered(services, bench, client)
    path, _, query = picture["url"].partition("?")
    for url in (
        path,
        f"{path[:-1]}1?{query}",
        f"{path}?{query[:-1]}{'0' if query[-1] != '0' else '1'}",
        f"{path}x?{query}",
    ):
        assert client.get(url).status_code in (400, 403, 404)
    assert client.get(picture["url"]).status_code == 200


def test_an_unknown_input_is_refused_by_its_field(client: FlaskClient) -> None:
    for reference in ({"inputId": UNKNOWN}, {"requestId": UNKNOWN}):
        body = {"prompt": "a fox", "inputImages": [reference]}
        answer = client.post("/api/images/generate", json=body)
        assert (answer.status_code, answer.json["code"]) == (400, "ERR_UNKNOWN_INPUT")
        assert answer.json["detail"].startswith(f"inputImages[0].{next(iter(reference))}")


def test_an_item_of_a_batch_cannot_have_input_pictures(client: FlaskClient) -> None:
    body = {"items": [{"prompt": "a fox", "inputImages": [{"inputId": UNKNOWN}]}]}
    answer = client.post("/api/batches", json=body)
    assert (answer.status_code, answer.json["code"]) == (400, "ERR_INVALID_BATCH")
    assert "inputImages" in answer.text


def test_the_queue_shows_variations_beside_their_model(client: FlaskClient) -> None:
    input_id = send(client, png()).json["inputId"]
    for _ in range(2):
        client.post(
            "/api/images/generate", json={"prompt": "a fox", "model": "Flux", "inputImages": [{"inputId": input_id}]}
        )
    client.post("/api/images/generate", json={"prompt": "a fox", "model": "Flux"})
    queues = client.get("/api/queue").json["queues"]
    assert [(each["model"], each.get("operation"), each["depth"]) for each in queues] == [
        ("flux", None, 1),
        ("flux", "variation", 2),
    ]
