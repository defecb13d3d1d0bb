"""Input pictures over HTTP."""

from __future__ import annotations

import dataclasses
import io
from typing import Any

import pytest
from flask.testing import FlaskClient

from app import container
from app.container import Services
from app.domain.access import Role, Scope
from app.factory import create_app
from tests.support.fakes import Bench
from tests.support.image_samples import png

INPUTS = "/api/inputs"
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
