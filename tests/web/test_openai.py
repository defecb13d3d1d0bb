"""`/v1` for OpenAI's clients, over HTTP in this process. tests/acceptance/test_openai.py has the real clients."""

from __future__ import annotations

import base64
import dataclasses
import io
import json
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
from flask.testing import FlaskClient
from PIL import Image
from werkzeug.test import TestResponse

from app.container import Services
from app.domain import images
from app.domain.access import Role, Scope
from app.domain.images import Rendition
from app.factory import create_app
from tests.support.fakes import Bench
from tests.support.harness import Harness
from tests.support.painter import Painter
from tests.support.redis import forget_limits
from tests.support.waiting import until

GENERATIONS = "/v1/images/generations"
REPEAT = {"X-Stainless-Retry-Count": "1"}


@pytest.fixture
def painter() -> Painter:
    """The extension that makes the pictures."""
    return Painter()


@pytest.fixture
def services(bench: Bench, painter: Painter) -> Services:
    """The services with that extension."""
    return painter.services(bench)


@pytest.fixture
def guarded(bench: Bench, painter: Painter) -> Services:
    """The same with required authentication."""
    return painter.services(bench.with_settings(auth_required=True))


def generate(client: FlaskClient, headers: dict[str, str] | None = None, **body: Any) -> TestResponse:
    return client.post(GENERATIONS, json={"prompt": "a fox", **body}, headers=headers)


def error(answer: TestResponse) -> Any:
    assert answer.content_type == "application/json"
    body: Any = answer.json
    assert set(body) == {"error"}
    assert set(body["error"]) == {"message", "type", "param", "code"}
    return body["error"]


def requests_of(client: FlaskClient) -> list[Any]:
    made: list[Any] = client.get("/api/images?limit=100").json["images"]
    return made


def picture(b64: str) -> Image.Image:
    return Image.open(io.BytesIO(base64.b64decode(b64, validate=True)))


def bearer(services: Services, user: str, *scopes: Scope) -> dict[str, str]:
    services.accounts.create_user(user, Role.USER)
    key = services.accounts.create_key(user, scopes or (Scope.READ, Scope.WRITE))
    return {"Authorization": f"Bearer sk-{key}"}


def events(answer: TestResponse) -> list[dict[str, Any]]:
    blocks = [block.split("\n") for block in answer.text.strip().split("\n\n")]
    named = [dict(line.split(": ", 1) for line in block) for block in blocks if not block[0].startswith(":")]
    return [{"event": each["event"], **json.loads(each["data"])} for each in named]


def test_the_answer_has_the_address_of_the_picture(client: FlaskClient) -> None:
    answer = generate(client)
    assert answer.status_code == 200
    [made] = requests_of(client)
    assert answer.json == {
        "created": answer.json["created"],
        "output_format": "png",
        "size": "8x8",
        "data": [{"url": f"http://localhost{made['imagePath']}"}],
    }
    assert answer.headers["X-Request-Id"] == made["requestId"]
    assert client.get(made["imagePath"]).data.startswith(b"\x89PNG")


def test_several_pictures_in_base64_are_the_stored_files_in_order(client: FlaskClient) -> None:
    answer = generate(client, n=3, response_format="b64_json")
    assert len(answer.data) == int(answer.headers["Content-Length"])
    shown = answer.json["data"]
    assert [picture(each["b64_json"]).size for each in shown] == [(8, 8), (9, 8), (10, 8)]
    [made] = requests_of(client)
    for each, stored in zip(shown, made["images"], strict=True):
        assert base64.b64decode(each["b64_json"]) == client.get(stored["imagePath"]).data


@pytest.mark.parametrize("output_format", ["webp", "jpeg"])
@pytest.mark.parametrize("stream", [False, True])
def test_pictures_in_base64_are_converted(client: FlaskClient, output_format: str, stream: bool) -> None:
    answer = generate(
        client, response_format="b64_json", output_format=output_format, output_compression=50, stream=stream
    )
    whole: dict[str, Any] = {} if stream else dict(answer.json or {})
    shown = events(answer)[0] if stream else whole | whole["data"][0]
    assert shown["output_format"] == output_format
    image = Image.open(io.BytesIO(base64.b64decode(shown["b64_json"])))
    assert (image.format, image.size) == (output_format.upper(), (8, 8))
    assert stream or len(answer.data) == int(answer.headers["Content-Length"])


@pytest.mark.parametrize("output_format", ["webp", "jpeg"])
def test_addresses_of_converted_pictures_name_the_format(client: FlaskClient, output_format: str) -> None:
    answer = generate(client, output_format=output_format)
    [made] = requests_of(client)
    assert answer.json["output_format"] == output_format
    [shown] = answer.json["data"]
    assert shown["url"] == f"http://localhost{made['imagePath']}?format={output_format}"
    assert client.get(shown["url"]).content_type == f"image/{output_format}"


@pytest.mark.parametrize("stream", [False, True])
def test_a_format_that_cannot_hold_the_picture_is_refused_by_its_name_here(
    client: FlaskClient, monkeypatch: pytest.MonkeyPatch, stream: bool
) -> None:
    monkeypatch.setitem(images.CONVERTED_SIDES, Rendition.WEBP, 7)
    answer = generate(client, response_format="b64_json", output_format="webp", stream=stream)
    shown = events(answer)[0]["error"] if stream else error(answer)
    assert shown["param"] == "output_format"
    assert shown["message"].startswith("output_format cannot be webp: the picture has 8 x 8 pixels")


@pytest.mark.parametrize("revised", ["a \u0000", '"\\u0000"', "\\u0000", 'a "red" fox\n', "лиса"])
def test_a_revised_prompt_is_passed_on_and_never_mistaken_for_a_picture(
    client: FlaskClient, painter: Painter, revised: str
) -> None:
    painter.metadata = {"revisedPrompt": revised}
    for answer in (generate(client, response_format="b64_json"), generate(client)):
        [shown] = answer.json["data"]
        assert shown.get("revised_prompt") == (None if "\x00" in revised else revised)


@pytest.mark.parametrize(
    ("body", "parameters"),
    [
        ({}, {}),
        ({"n": 2, "size": "1024x1536"}, {"numberOfImages": 2, "width": 1024, "height": 1536}),
        ({"size": "auto", "quality": "auto", "stream": False, "partial_images": 2}, {}),
        ({"quality": "hd", "style": "vivid"}, {"quality": "hd", "style": "vivid"}),
        ({"background": "transparent", "moderation": "low"}, {"background": "transparent", "moderation": "low"}),
        ({"seed": 7, "nested": {"a": [1, None]}}, {"seed": 7, "nested": {"a": [1, None]}}),
        ({"response_format": "url", "output_format": "png", "user": "ann", "n": None}, {}),
    ],
)
def test_the_fields_reach_the_extension_as_parameters(
    client: FlaskClient, painter: Painter, body: dict[str, Any], parameters: dict[str, Any]
) -> None:
    assert generate(client, model="dall-e-2", **body).status_code == 200
    [job] = painter.received
    assert (job["prompt"], job["model"], job["parameters"]) == ("a fox", "dall-e-2", parameters)
    assert job["userId"] == body.get("user", "cli-user")


@pytest.mark.parametrize(
    ("model", "delivered"), [("gpt-image-1", "b64_json"), ("chatgpt-image-latest", "b64_json"), ("dall-e-3", "url")]
)
def test_the_model_decides_how_pictures_are_delivered_by_default(
    client: FlaskClient, model: str, delivered: str
) -> None:
    [shown] = generate(client, model=model).json["data"]
    assert set(shown) == {delivered}


INVALID = [
    ({"prompt": ""}, "prompt", "ERR_INVALID_PROMPT"),
    ({"prompt": None}, "prompt", "ERR_INVALID_PROMPT"),
    ({"n": 0}, "n", "ERR_INVALID_REQUEST"),
    ({"n": "2"}, "n", "ERR_INVALID_REQUEST"),
    ({"size": "1024"}, "size", "ERR_INVALID_REQUEST"),
    ({"size": "15x1024"}, "size", "ERR_INVALID_REQUEST"),
    ({"size": 1024}, "size", "ERR_INVALID_REQUEST"),
    ({"quality": ""}, "quality", "ERR_INVALID_REQUEST"),
    ({"model": "a\nb"}, "model", "ERR_INVALID_REQUEST"),
    ({"response_format": "webp"}, "response_format", "ERR_INVALID_REQUEST"),
    ({"output_format": "gif"}, "output_format", "ERR_INVALID_REQUEST"),
    ({"stream": "true"}, "stream", "ERR_INVALID_REQUEST"),
    ({"partial_images": 4}, "partial_images", "ERR_INVALID_REQUEST"),
    ({"user": "a b"}, "user", "ERR_INVALID_REQUEST"),
    ({"width": 1}, "width", "ERR_INVALID_REQUEST"),
    ({"seed": 2**70}, "seed", "ERR_INVALID_REQUEST"),
    ({f"x{number}": 1 for number in range(60)}, None, "ERR_INVALID_REQUEST"),
]


@pytest.mark.parametrize(("body", "param", "code"), INVALID, ids=[str(param) for _, param, _ in INVALID])
def test_an_invalid_field_is_named(client: FlaskClient, body: dict[str, Any], param: str | None, code: str) -> None:
    answer = generate(client, **body)
    shown = error(answer)
    assert (answer.status_code, shown["type"], shown["param"], shown["code"]) == (
        400,
        "invalid_request_error",
        param,
        code,
    )
    assert param is None or shown["message"].startswith(f"{param} ")
    assert requests_of(client) == []
    assert answer.headers["X-Request-Id"] == answer.headers["X-Correlation-Id"]


FAILURES = [
    ({"error": "refused by the content policy", "code": "ERR_INVALID_PROMPT"}, 400, "ERR_INVALID_PROMPT", "prompt"),
    ({"error": "too many requests", "code": "ERR_RATE_LIMIT", "retryable": False}, 429, "rate_limit_exceeded", None),
    ({"error": "the tab crashed", "retryable": False}, 500, "ERR_GENERATION_FAILED", None),
    ({"error": "too slow", "code": "ERR_TIMEOUT", "retryable": False}, 504, "ERR_TIMEOUT", None),
]


@pytest.mark.parametrize(("failure", "status", "code", "param"), FAILURES, ids=[each[2] for each in FAILURES])
def test_a_failure_says_why_and_that_it_is_not_to_be_repeated(
    client: FlaskClient, painter: Painter, failure: dict[str, Any], status: int, code: str, param: str | None
) -> None:
    painter.failure = failure
    answer = generate(client)
    shown = error(answer)
    [made] = requests_of(client)
    assert (answer.status_code, shown["code"], shown["param"]) == (status, code, param)
    assert failure["error"] in shown["message"]
    assert made["requestId"] in shown["message"]
    assert answer.headers["X-Request-Id"] == made["requestId"]
    assert answer.headers["X-Should-Retry"] == "false"


@pytest.mark.parametrize(
    ("method", "path", "status"),
    [("GET", "/v1/nowhere", 404), ("GET", GENERATIONS, 405), ("POST", "/v1/models", 405), ("GET", "/v1/files", 404)],
)
def test_other_addresses_answer_in_the_same_form(client: FlaskClient, method: str, path: str, status: int) -> None:
    answer = client.open(path, method=method)
    assert (answer.status_code, error(answer)["type"]) == (status, "invalid_request_error")
    assert "X-Should-Retry" not in answer.headers


@pytest.mark.parametrize(
    ("data", "content_type"), [(b"{", "application/json"), (b"x=1", "text/plain"), (b"[]", "application/json")]
)
def test_an_unreadable_body_is_answered_in_the_same_form(client: FlaskClient, data: bytes, content_type: str) -> None:
    answer = client.post(GENERATIONS, data=data, content_type=content_type)
    assert answer.status_code in {400, 415}
    assert error(answer)["type"] == "invalid_request_error"


def test_an_unexpected_error_is_answered_in_the_same_form(
    client: FlaskClient, services: Services, monkeypatch: pytest.MonkeyPatch
) -> None:
    def broken(*_: Any) -> None:
        raise ZeroDivisionError

    monkeypatch.setattr(services.lookup, "changes_until_final", broken)
    answer = generate(client)
    assert (answer.status_code, error(answer)["type"], error(answer)["code"]) == (500, "server_error", "ERR_INTERNAL")


def test_the_models_are_those_of_the_connected_extensions(bench: Bench) -> None:
    services = Painter("image-generation", "flux-dev", "Flux-Dev", "@cf/stability/sdxl").services(bench)
    client = create_app(services.settings, services).test_client()
    assert client.get("/v1/models").json == {
        "object": "list",
        "data": [
            {"id": name, "object": "model", "created": 0, "owned_by": "imagefleet"}
            for name in ("@cf/stability/sdxl", "Flux-Dev")
        ],
    }
    assert client.get("/v1/models/@cf/stability/sdxl").json["id"] == "@cf/stability/sdxl"
    assert client.get("/v1/models/FLUX-DEV").json["id"] in {"flux-dev", "Flux-Dev"}
    missing = client.get("/v1/models/dall-e-3")
    assert (missing.status_code, error(missing)["code"], error(missing)["param"]) == (404, "model_not_found", "model")


def test_an_extension_that_makes_any_model_is_listed_as_the_default_one(client: FlaskClient) -> None:
    assert [each["id"] for each in client.get("/v1/models").json["data"]] == ["dall-e-3"]
    assert client.get("/v1/models/anything").json["id"] == "anything"


@pytest.mark.parametrize("key", ["sk-proj-abc", "anything at all", "a.b.c"])
def test_a_foreign_key_is_ignored_where_none_is_needed(client: FlaskClient, key: str) -> None:
    shown = {"Authorization": f"Bearer {key}"}
    assert generate(client, shown).status_code == 200
    assert client.get("/v1/models", headers=shown).status_code == 200
    assert client.get("/api/images", headers=shown).status_code == 401


def test_a_key_of_ours_counts_where_none_is_needed(client: FlaskClient, services: Services) -> None:
    assert generate(client, bearer(services, "ann"), user="somebody").status_code == 200
    assert [each["userId"] for each in requests_of(client)] == ["ann"]
    wrong = generate(client, {"Authorization": f"Bearer sk-imgk_{'0' * 16}_{'0' * 64}"})
    assert (wrong.status_code, error(wrong)["code"]) == (401, "invalid_api_key")


def test_keys_and_scopes_are_those_of_the_other_addresses(guarded: Services, painter: Painter) -> None:
    client = create_app(guarded.settings, guarded).test_client()
    ann, reader = bearer(guarded, "ann"), bearer(guarded, "bob", Scope.READ)
    assert generate(client, ann, user="customer-7").status_code == 200
    [job] = painter.received
    assert (job["userId"], job["parameters"]) == ("ann", {"user": "customer-7"})
    for headers, status, code in (
        ({}, 401, "invalid_api_key"),
        ({"Authorization": "Bearer sk-proj-abc"}, 401, "invalid_api_key"),
        (reader, 403, "ERR_FORBIDDEN"),
    ):
        answer = generate(client, headers)
        assert (answer.status_code, error(answer)["code"]) == (status, code)
        assert answer.headers["WWW-Authenticate"].startswith("Bearer ")
    assert client.get("/v1/models", headers=reader).status_code == 200


@pytest.fixture
def limited(bench: Bench, painter: Painter, redis_url: str) -> FlaskClient:
    """An application that takes two requests."""
    forget_limits(redis_url)
    limits = dataclasses.replace(bench.ports.settings.limits, rate_requests=2, rate_burst=2, rate_window_ms=3_600_000)
    services = painter.services(bench.with_settings(limits=limits, redis_url=redis_url))
    return create_app(services.settings, services).test_client()


def test_the_limit_is_shared_with_the_other_address(limited: FlaskClient) -> None:
    assert generate(limited).headers["X-RateLimit-Remaining"] == "1"
    assert limited.post("/api/images/generate", json={"prompt": "a fox"}).headers["X-RateLimit-Remaining"] == "0"
    refused = generate(limited)
    shown = error(refused)
    assert (refused.status_code, shown["type"], shown["code"]) == (429, "requests", "rate_limit_exceeded")
    assert int(refused.headers["Retry-After"]) > 0
    assert "X-Should-Retry" not in refused.headers  # it was not accepted, so its client may send it again
    assert limited.post("/api/images/generate", json={"prompt": "a fox"}).status_code == 429


def test_a_quota_is_answered_as_openai_does(bench: Bench, painter: Painter) -> None:
    painter.idle = True
    limits = dataclasses.replace(bench.ports.settings.limits, quota_waiting=1)
    services = painter.services(bench.with_settings(limits=limits, openai_wait_ms=1))
    client = create_app(services.settings, services).test_client()
    assert generate(client).status_code == 504
    refused = generate(client)
    shown = error(refused)
    assert (refused.status_code, shown["type"], shown["code"]) == (429, "insufficient_quota", "insufficient_quota")


def test_a_wait_ends_after_its_time_and_the_request_goes_on(bench: Bench, painter: Painter) -> None:
    painter.idle = True
    services = painter.services(bench.with_settings(openai_wait_ms=1))
    client = create_app(services.settings, services).test_client()
    answer = generate(client)
    [made] = requests_of(client)
    shown = error(answer)
    assert (answer.status_code, shown["code"]) == (504, "ERR_TIMEOUT")
    assert f"/api/images/{made['requestId']}" in shown["message"]
    assert answer.headers["X-Should-Retry"] == "false"
    painter.answer_all()
    assert client.get(f"/api/images/{made['requestId']}").json["status"] == "completed"


@pytest.fixture
def waiting(client: FlaskClient, services: Services, painter: Painter) -> Iterator[ThreadPoolExecutor]:
    """Threads for calls whose pictures are not made at once. What waits at the end is cancelled."""
    painter.idle = True
    with ThreadPoolExecutor(8) as pool:
        yield pool
        services.watching.stop()


def waits(services: Services, count: int = 1) -> None:
    until(lambda: services.watching.count == count, what=f"{count} calls to wait")


def publish(bench: Bench, services: Services) -> None:
    """Deliver the published changes, as the bus does."""
    for change in bench.bus.changes:
        services.watching.notify(change)


def test_a_call_waits_until_its_picture_is_stored(
    client: FlaskClient, services: Services, bench: Bench, painter: Painter, waiting: ThreadPoolExecutor
) -> None:
    call = waiting.submit(generate, client)
    waits(services)
    painter.answer_all()
    publish(bench, services)
    assert call.result(20).status_code == 200


def test_a_cancelled_request_is_a_conflict(
    client: FlaskClient, services: Services, bench: Bench, waiting: ThreadPoolExecutor
) -> None:
    call = waiting.submit(generate, client)
    waits(services)
    [made] = requests_of(client)
    client.delete(f"/api/images/{made['requestId']}")
    publish(bench, services)
    answer = call.result(20)
    assert (answer.status_code, error(answer)["code"]) == (409, "request_cancelled")
    assert answer.headers["X-Should-Retry"] == "false"


def test_a_process_that_stops_sends_its_calls_to_another_one(
    client: FlaskClient, services: Services, waiting: ThreadPoolExecutor
) -> None:
    call = waiting.submit(generate, client)
    waits(services)
    services.watching.stop()
    answer = call.result(20)
    [made] = requests_of(client)
    assert (answer.status_code, error(answer)["type"]) == (503, "server_error")
    assert made["requestId"] in error(answer)["message"]
    assert (answer.headers["Retry-After"], answer.headers["X-Should-Retry"]) == ("1", "true")


def test_a_repeat_joins_the_identical_open_request(
    client: FlaskClient, services: Services, bench: Bench, painter: Painter, waiting: ThreadPoolExecutor
) -> None:
    calls = [waiting.submit(generate, client, n=2, seed=7)]
    waits(services)
    calls += [waiting.submit(generate, client, REPEAT, seed=7, n=2, model=None) for _ in range(3)]
    waits(services, 4)
    assert len(requests_of(client)) == 1
    painter.answer_all()
    publish(bench, services)
    answers = [call.result(20) for call in calls]
    assert len({answer.data for answer in answers}) == 1
    assert len({answer.headers["X-Request-Id"] for answer in answers}) == 1


@pytest.mark.parametrize(
    ("headers", "body"),
    [
        ({}, {}),
        ({"X-Stainless-Retry-Count": "0"}, {}),
        ({"X-Stainless-Retry-Count": "one"}, {}),
        (REPEAT, {"prompt": "two foxes"}),
        (REPEAT, {"n": 1}),
        (REPEAT, {"user": "bob"}),
    ],
    ids=str,
)
def test_what_is_no_repeat_of_the_same_call_makes_a_request(
    bench: Bench, painter: Painter, headers: dict[str, str], body: dict[str, Any]
) -> None:
    painter.idle = True
    services = painter.services(bench.with_settings(openai_wait_ms=1))
    client = create_app(services.settings, services).test_client()
    first, second = generate(client), generate(client, headers, **body)
    assert first.headers["X-Request-Id"] != second.headers["X-Request-Id"]
    assert len(requests_of(client)) == 2


def test_a_repeat_of_a_finished_request_makes_another_one(client: FlaskClient) -> None:
    first, second = generate(client), generate(client, REPEAT)
    assert first.headers["X-Request-Id"] != second.headers["X-Request-Id"]


def test_a_repeat_costs_no_token(limited: FlaskClient, painter: Painter) -> None:
    services: Services = limited.application.extensions["services"]
    painter.idle = True
    with ThreadPoolExecutor(2) as pool:
        calls = [pool.submit(generate, limited)]
        waits(services)
        calls.append(pool.submit(generate, limited, REPEAT))
        waits(services, 2)
        assert limited.post("/api/images/generate", json={"prompt": "a fox"}).headers["X-RateLimit-Remaining"] == "0"
        services.watching.stop()
        assert {call.result(20).status_code for call in calls} == {503}


def test_a_stream_ends_with_an_event_for_each_picture(client: FlaskClient) -> None:
    answer = generate(client, stream=True, partial_images=3, n=2, quality="high", background="opaque")
    assert answer.content_type == "text/event-stream; charset=utf-8"
    assert answer.text.startswith(": accepted\n\n")
    [made] = requests_of(client)
    assert answer.headers["X-Request-Id"] == made["requestId"]
    shown = events(answer)
    assert [each["event"] for each in shown] == ["image_generation.completed"] * 2
    assert [picture(each.pop("b64_json")).size for each in shown] == [(8, 8), (9, 8)]
    assert shown[0] == {
        "event": "image_generation.completed",
        "type": "image_generation.completed",
        "created_at": shown[0]["created_at"],
        "size": "8x8",
        "quality": "high",
        "background": "opaque",
        "output_format": "png",
        "usage": {
            "input_tokens": 0,
            "input_tokens_details": {"image_tokens": 0, "text_tokens": 0},
            "output_tokens": 0,
            "total_tokens": 0,
        },
    }


def test_a_stream_shows_progress_as_comments_which_are_no_pictures(
    client: FlaskClient, services: Services, bench: Bench, painter: Painter, waiting: ThreadPoolExecutor
) -> None:
    received = threading.Event()
    lines: list[str] = []

    def read() -> None:
        for piece in generate(client, stream=True).iter_encoded():
            lines.append(piece.decode())
            received.set()

    reading = waiting.submit(read)
    waits(services)
    [made] = requests_of(client)
    harness = Harness(bench, services)
    harness.assign()
    holder = painter.holder
    harness.report_progress(holder, services.lookup.details(made["requestId"]).job, 40)
    publish(bench, services)
    until(lambda: ": progress 40\n\n" in lines, what="the progress")
    services.cancellation.cancel(made["requestId"])
    publish(bench, services)
    reading.result(20)
    assert "image_generation" not in "".join(lines)


def test_a_failure_in_a_stream_is_an_error_event(client: FlaskClient, painter: Painter) -> None:
    painter.failure = {"error": "the tab crashed", "retryable": False}
    answer = generate(client, stream=True)
    [shown] = events(answer)
    assert (answer.status_code, shown["event"], shown["type"]) == (200, "error", "error")
    assert shown["error"]["code"] == "ERR_GENERATION_FAILED"


def test_an_invalid_call_with_stream_is_refused_by_its_status(client: FlaskClient) -> None:
    answer = generate(client, stream=True, n=99)
    assert (answer.status_code, error(answer)["param"]) == (400, "n")


@pytest.mark.parametrize("body", [{}, {"response_format": "b64_json"}, {"stream": True}])
def test_pictures_that_were_removed_before_the_answer_are_gone(
    client: FlaskClient, services: Services, monkeypatch: pytest.MonkeyPatch, body: dict[str, Any]
) -> None:
    details = services.lookup.details

    def removed(request_id: str, owner: str | None = None) -> Any:
        services.removal.remove(request_id)
        return details(request_id, owner)

    monkeypatch.setattr(services.lookup, "details", removed)
    answer = generate(client, **body)
    if body.get("stream"):
        assert events(answer)[-1]["error"]["code"] == "ERR_GONE"
    else:
        assert (answer.status_code, error(answer)["code"]) == (410, "ERR_GONE")
