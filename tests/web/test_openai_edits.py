"""`/v1/images/edits` and `/v1/images/variations`: what is sent to extensions, and what is refused."""

from __future__ import annotations

import dataclasses
import io
from typing import Any

import pytest
from flask.testing import FlaskClient

from app.container import Services
from app.factory import create_app
from app.services.cleanup import Cleanup
from tests.support.fakes import Bench
from tests.support.image_samples import png
from tests.support.painter import Painter

EDITS, VARIATIONS = "/v1/images/edits", "/v1/images/variations"
SVG = b'<svg xmlns="http://www.w3.org/2000/svg"/>'
REPEAT = {"X-Stainless-Retry-Count": "1"}


@pytest.fixture
def painter() -> Painter:
    """An extension that makes pictures, edits and variations."""
    return Painter("*", "image-edit", "image-variation")


@pytest.fixture
def services(bench: Bench, painter: Painter) -> Services:
    """The services, with that extension; a call does not wait long."""
    return painter.services(bench.with_settings(openai_wait_ms=100))


@pytest.fixture
def client(services: Services) -> FlaskClient:
    return create_app(services.settings, services).test_client()


def file(data: bytes | None = None) -> tuple[io.BytesIO, str]:
    return io.BytesIO(png(8, 6) if data is None else data), "upload"


def edit(client: FlaskClient, path: Any = EDITS, headers: Any = None, **fields: Any) -> Any:
    data = {"prompt": "a fox", **{name.replace("__", "[]"): value for name, value in fields.items()}}
    if path == VARIATIONS:
        del data["prompt"]
    return client.post(path, data=data, content_type="multipart/form-data", headers=headers)


def error(answer: Any) -> Any:
    return answer.json["error"]


def test_fields_and_files_become_a_request(client: FlaskClient, painter: Painter) -> None:
    answer = edit(
        client, image=file(), mask=file(), n="2", size="64x32", seed="7", background="transparent", model="gpt"
    )
    [job] = painter.received
    assert (job["prompt"], job["model"]) == ("a fox", "gpt")
    assert job["parameters"] == {"numberOfImages": 2, "width": 64, "height": 32, "seed": 7, "background": "transparent"}
    assert [each["role"] for each in job["inputImages"]] == ["image", "mask"]
    assert answer.headers["X-Request-Id"] == job["requestId"]


def test_several_images_and_a_variation(client: FlaskClient, painter: Painter) -> None:
    edit(client, image__=[file(), file()])
    edit(client, VARIATIONS, image=file(), n="1")
    assert [[each["role"] for each in job["inputImages"]] for job in painter.received] == [
        ["image", "image"],
        ["image"],
    ]
    assert painter.received[1]["prompt"] == "A variation of the image"


def test_the_uploaded_pictures_are_gone_when_the_request_has_ended(
    client: FlaskClient, services: Services, bench: Bench
) -> None:
    edit(client, image=file(), mask=file())
    assert len(bench.files()) == 3, "the result, and the pictures of the request"
    assert Cleanup(services.ports).sweep() == 2
    made = client.get("/api/images").json["images"]
    assert bench.files() == [made[0]["imagePath"].rpartition("/")[2]]


def test_the_answer_and_the_stream_have_the_pictures(client: FlaskClient) -> None:
    answer = edit(client, VARIATIONS, image=file(), response_format="b64_json")
    assert answer.status_code == 200, answer.text
    assert len(answer.json["data"]) == 1
    streamed = edit(client, image=file(), stream="true")
    assert "event: image_edit.completed\n" in streamed.text
    assert '"type":"image_edit.completed"' in streamed.text.replace(": ", ":")


def test_a_repeat_joins_the_request_with_the_same_pictures(client: FlaskClient, painter: Painter) -> None:
    painter.idle = True
    first = edit(client, image=file()).headers["X-Request-Id"]
    assert edit(client, image=file(), headers=REPEAT).headers["X-Request-Id"] == first
    assert edit(client, image=file(png(9, 9)), headers=REPEAT).headers["X-Request-Id"] != first
    assert edit(client, image__=[file()], mask=file(), headers=REPEAT).headers["X-Request-Id"] != first
    assert len(client.get("/api/images").json["images"]) == 3


@pytest.mark.parametrize(
    ("fields", "param", "code"),
    [
        ({}, "image", "ERR_INVALID_REQUEST"),
        ({"mask": png()}, "image", "ERR_INVALID_REQUEST"),
        ({"image": "text"}, "image", "ERR_INVALID_REQUEST"),
        ({"image": SVG}, "image", "ERR_INVALID_REQUEST"),
        ({"image": png(), "mask": SVG}, "mask", "ERR_INVALID_REQUEST"),
        ({"image": png()[:-20]}, "image", "ERR_INVALID_IMAGE"),
        ({"image": png(8, 6), "mask": png(8, 7)}, "mask", "ERR_INVALID_REQUEST"),
        ({"image": png(), "prompt": " "}, "prompt", "ERR_INVALID_PROMPT"),
        ({"image": png(), "n": "11"}, "n", "ERR_INVALID_REQUEST"),
        ({"image": png(), "n": "two"}, "n", "ERR_INVALID_REQUEST"),
        ({"image": png(), "stream": "maybe"}, "stream", "ERR_INVALID_REQUEST"),
        ({"image": png(), "size": "huge"}, "size", "ERR_INVALID_REQUEST"),
    ],
)
def test_what_is_wrong_is_named(
    client: FlaskClient, bench: Bench, fields: dict[str, Any], param: str, code: str
) -> None:
    sent = {name: file(value) if isinstance(value, bytes) else value for name, value in fields.items()}
    answer = edit(client, **sent)
    assert (answer.status_code, error(answer)["code"], error(answer)["param"]) == (400, code, param), answer.text
    assert bench.files() == []


@pytest.mark.parametrize(("path", "count"), [(EDITS, 5), (VARIATIONS, 2)])
def test_there_may_be_so_many_pictures(client: FlaskClient, path: str, count: int) -> None:
    answer = edit(client, path, image=[file() for _ in range(count)])
    assert (answer.status_code, error(answer)["param"]) == (400, "image")


@pytest.mark.parametrize("path", [EDITS, VARIATIONS])
def test_a_body_that_is_no_form_or_is_too_large_is_refused(bench: Bench, painter: Painter, path: str) -> None:
    services = painter.services(bench.with_settings(max_image_bytes=4_000))
    client = create_app(services.settings, services).test_client()
    assert client.post(path, json={"prompt": "a fox"}).status_code == 415
    for size in (4_001, 20_000_000):
        answer = edit(client, path, image=file(png() + bytes(size - len(png()))))
        assert (answer.status_code, error(answer)["code"]) == (413, "ERR_PAYLOAD_TOO_LARGE")
    assert bench.files() == []


def test_inputs_of_calls_do_not_use_up_the_quota(bench: Bench, painter: Painter) -> None:
    limits = dataclasses.replace(bench.ports.settings.limits, quota_inputs=2)
    services = painter.services(bench.with_settings(limits=limits, openai_wait_ms=1))
    client = create_app(services.settings, services).test_client()
    for _ in range(3):
        edit(client, image=file(), mask=file())
    assert len(painter.received) == 3
