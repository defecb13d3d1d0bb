from __future__ import annotations

import json
import re
import threading
from typing import Any

import pytest
from flask.testing import FlaskClient

from app.container import Services
from app.domain.states import Status
from tests.support.fakes import Bench
from tests.support.harness import Harness
from tests.support.waiting import until

TIME = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z")
UUID = re.compile(r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}")
NOBODY = "/api/images/550e8400-e29b-41d4-a716-446655440000"


def submit(client: FlaskClient, **body: Any) -> Any:
    answer = client.post("/api/images/generate", json={"prompt": "a fox", **body})
    assert answer.status_code == 200, answer.text
    return answer.json


def test_the_example_request_of_the_contract_is_accepted(client: FlaskClient, bench: Bench) -> None:
    body = {
        "prompt": "A beautiful sunset over mountains",
        "model": "dall-e-3",
        "parameters": {"width": 1024, "height": 1024, "quality": "hd", "style": "natural", "numberOfImages": 1},
        "userId": "cli-user-123",
    }
    answer = client.post("/api/images/generate", json=body)
    assert answer.status_code == 200
    accepted: Any = answer.json
    assert set(accepted) == {"requestId", "status", "message", "queue", "correlationId", "timestamp"}
    assert UUID.fullmatch(accepted["requestId"])
    assert accepted["status"] == "accepted"
    assert accepted["message"] == "Image generation request submitted"
    assert TIME.fullmatch(accepted["timestamp"])


def test_only_a_prompt_is_required_and_the_rest_has_defaults(client: FlaskClient) -> None:
    result = client.get(f"/api/images/{submit(client)['requestId']}").json
    assert result["metadata"] == {"model": "dall-e-3", "prompt": "a fox"}
    assert result["userId"] == "cli-user"


def test_unknown_parameters_are_passed_on_unchanged(client: FlaskClient, services: Services) -> None:
    parameters = {"seed": 7, "Négatif": ["a", {"b": None}], "scale": 7.5, "width": 64.0}
    request_id = submit(client, parameters=parameters)["requestId"]
    assert dict(services.lookup.details(request_id).job.parameters) == parameters


@pytest.mark.parametrize(
    ("reported", "shown"),
    [
        (42, 42),
        (2**64 - 1, 2**64 - 1),
        ("18446744073709551615", "18446744073709551615"),
        (True, None),
        ("x" * 65, None),
        ("\ud800", None),
        ("\x00", None),
        (10**400, None),
    ],
)
def test_a_result_contains_the_parameters_and_the_seed_that_the_extension_used(
    client: FlaskClient, bench: Bench, reported: object, shown: object
) -> None:
    parameters = {"seed": 2**64 - 1, "style": "natural"}
    request_id = submit(client, parameters=parameters)["requestId"]
    harness = Harness.of(bench)
    holder = harness.connect()
    harness.assign()
    [offer] = bench.bus.sent("generate_image")
    assert offer["parameters"] == {"seed": "18446744073709551615", "style": "natural"}
    harness.report_image(
        holder, harness.reload(harness.services.lookup.details(request_id).job), metadata={"seed": reported}
    )
    result = client.get(f"/api/images/{request_id}").json
    assert result["parameters"] == parameters
    assert result["metadata"].get("seed") == shown


def result_with(client: FlaskClient, bench: Bench, metadata: dict[str, Any]) -> Any:
    """The metadata of a request whose extension reported these."""
    request_id = submit(client)["requestId"]
    harness = Harness.of(bench)
    holder = harness.connect()
    harness.assign()
    job = harness.reload(harness.services.lookup.details(request_id).job)
    harness.report_image(holder, job, metadata=metadata)
    return client.get(f"/api/images/{request_id}").json["metadata"]


def test_a_result_contains_what_the_extension_used_and_what_it_ignored(client: FlaskClient, bench: Bench) -> None:
    reported = {
        "model": "gpt-image-1",
        "seed": 7,
        "seeds": [7, "18446744073709551615"],
        "revisedPrompt": "a red fox\nin snow",
        "ignoredParameters": ["style", "Négatif"],
    }
    shown = result_with(client, bench, reported)
    assert {name: shown[name] for name in reported} == reported


@pytest.mark.parametrize(
    "reported",
    [
        {},
        {"model": 7, "seeds": 7, "revisedPrompt": 7, "ignoredParameters": 7},
        {"model": "<b>", "seeds": [], "revisedPrompt": "", "ignoredParameters": []},
        {"model": "x" * 129, "seeds": [True], "revisedPrompt": "x" * 8_001, "ignoredParameters": ["x" * 129, None]},
        {"model": "a\x00", "seeds": [7, "\x00"], "revisedPrompt": "\x1b[31m", "ignoredParameters": ["\ud800"]},
    ],
)
def test_values_that_cannot_be_shown_are_left_out(client: FlaskClient, bench: Bench, reported: dict[str, Any]) -> None:
    shown = result_with(client, bench, reported)
    assert shown.pop("generatedAt")
    assert shown == {"model": "dall-e-3", "prompt": "a fox"}


REFUSED: list[tuple[Any, str, str]] = [
    ({}, "ERR_INVALID_PROMPT", "prompt"),
    ({"prompt": None}, "ERR_INVALID_PROMPT", "prompt"),
    ({"prompt": ""}, "ERR_INVALID_PROMPT", "prompt"),
    ({"prompt": " \n "}, "ERR_INVALID_PROMPT", "prompt"),
    ({"prompt": 7}, "ERR_INVALID_PROMPT", "prompt"),
    ({"prompt": ["a"]}, "ERR_INVALID_PROMPT", "prompt"),
    ({"prompt": "a" * 8001}, "ERR_INVALID_PROMPT", "prompt"),
    ({"prompt": "a\x00b"}, "ERR_INVALID_PROMPT", "prompt"),
    ({"prompt": "a\x1b[31m"}, "ERR_INVALID_PROMPT", "prompt"),
    ({"prompt": "a\ud800"}, "ERR_INVALID_PROMPT", "prompt"),
    ({"prompt": "a", "model": ""}, "ERR_INVALID_REQUEST", "model"),
    ({"prompt": "a", "model": 3}, "ERR_INVALID_REQUEST", "model"),
    ({"prompt": "a", "model": "a\nb"}, "ERR_INVALID_REQUEST", "model"),
    ({"prompt": "a", "userId": "a b"}, "ERR_INVALID_REQUEST", "userId"),
    ({"prompt": "a", "userId": "x" * 129}, "ERR_INVALID_REQUEST", "userId"),
    ({"prompt": "a", "userId": {"$gt": ""}}, "ERR_INVALID_REQUEST", "userId"),
    ({"prompt": "a", "parameters": []}, "ERR_INVALID_REQUEST", "parameters"),
    ({"prompt": "a", "parameters": "hd"}, "ERR_INVALID_REQUEST", "parameters"),
    ({"prompt": "a", "parameters": {"width": 0}}, "ERR_INVALID_REQUEST", "parameters.width"),
    ({"prompt": "a", "parameters": {"width": 8193}}, "ERR_INVALID_REQUEST", "parameters.width"),
    ({"prompt": "a", "parameters": {"height": "1024"}}, "ERR_INVALID_REQUEST", "parameters.height"),
    ({"prompt": "a", "parameters": {"height": True}}, "ERR_INVALID_REQUEST", "parameters.height"),
    ({"prompt": "a", "parameters": {"numberOfImages": 0}}, "ERR_INVALID_REQUEST", "parameters.numberOfImages"),
    ({"prompt": "a", "parameters": {"numberOfImages": 11}}, "ERR_INVALID_REQUEST", "parameters.numberOfImages"),
    ({"prompt": "a", "parameters": {"numberOfImages": 1.5}}, "ERR_INVALID_REQUEST", "parameters.numberOfImages"),
    ({"prompt": "a", "parameters": {"quality": 5}}, "ERR_INVALID_REQUEST", "parameters.quality"),
    ({"prompt": "a", "parameters": {"x": 2**70}}, "ERR_INVALID_REQUEST", "parameters.x"),
    ({"prompt": "a", "parameters": {"x": "a\x00"}}, "ERR_INVALID_REQUEST", "parameters.x"),
    ({"prompt": "a", "parameters": {f"p{n}": n for n in range(51)}}, "ERR_INVALID_REQUEST", "parameters"),
    ({"prompt": "a", "deadlineMs": 0}, "ERR_INVALID_REQUEST", "deadlineMs"),
    ({"prompt": "a", "deadlineMs": "soon"}, "ERR_INVALID_REQUEST", "deadlineMs"),
    ({"prompt": "a", "promt": "b"}, "ERR_INVALID_REQUEST", "promt"),
    ({"prompt": "a", "user_id": "b"}, "ERR_INVALID_REQUEST", "user_id"),
    ({"prompt": "a", "status": "completed"}, "ERR_INVALID_REQUEST", "status"),
]


@pytest.mark.parametrize(("body", "code", "name"), REFUSED)
def test_a_refusal_names_the_field_and_stores_nothing(
    client: FlaskClient, bench: Bench, body: Any, code: str, name: str
) -> None:
    answer = client.post("/api/images/generate", json=body)
    assert answer.status_code == 400
    assert answer.content_type == "application/problem+json"
    problem = answer.json
    assert problem["code"] == code
    assert name in problem["detail"]
    assert problem["error"] == problem["detail"]
    assert TIME.fullmatch(problem["timestamp"])
    assert problem["correlationId"] == answer.headers["X-Correlation-Id"]
    assert client.get("/api/images").json["images"] == []
    assert bench.tasks.assigns == 0


@pytest.mark.parametrize(
    "text",
    [
        "",
        "{",
        "nonsense",
        "[1]",
        "null",
        '"prompt"',
        '{"prompt": NaN}',
        '{"prompt": "a", "parameters": {"x": Infinity}}',
        '{"prompt": "a", "parameters": {"x": 1e999}}',
        '{"prompt": "a", "parameters": {"x": ' + "9" * 5000 + "}}",
        "[" * 50_000,
        '{"prompt":' + "[" * 30_000 + "]" * 30_000 + "}",
    ],
)
def test_a_body_that_is_no_json_object_is_refused_with_a_sentence(client: FlaskClient, text: str) -> None:
    answer = client.post("/api/images/generate", data=text, content_type="application/json")
    assert answer.status_code == 400
    assert answer.json["code"] in {"ERR_INVALID_JSON", "ERR_INVALID_REQUEST", "ERR_INVALID_PROMPT"}
    assert len(answer.json["detail"]) < 300


@pytest.mark.parametrize(
    ("text", "name"),
    [
        ('{"prompt": "a", "prompt": "b"}', "prompt"),
        ('{"prompt": "a", "\\u0070rompt": "b"}', "prompt"),
        ('{"prompt": "a", "parameters": {"deep": [{"width": 1, "height": 1, "width": 1}]}}', "width"),
        ('{"prompt": "a", "\\ud800": 1, "\\ud800": 1}', "\\ud800"),
        (f'{{"{"n" * 500}": 1, "{"n" * 500}": 1}}', "n" * 60),
    ],
)
def test_a_repeated_field_is_refused_by_name(client: FlaskClient, text: str, name: str) -> None:
    answer = client.post("/api/images/generate", data=text, content_type="application/json")
    assert (answer.status_code, answer.json["code"]) == (400, "ERR_INVALID_JSON")
    assert name in answer.json["detail"]
    assert len(answer.json["detail"]) < 200
    assert client.get("/api/images").json["images"] == []


def test_bytes_that_are_not_utf_8_are_refused(client: FlaskClient) -> None:
    text = json.dumps({"prompt": "a"}).encode("utf-16")
    answer = client.post("/api/images/generate", data=text, content_type="application/json")
    assert answer.json["code"] == "ERR_INVALID_JSON"


def test_deeply_nested_parameters_are_refused_by_name(client: FlaskClient) -> None:
    deep: Any = 1
    for _ in range(20):
        deep = [deep]
    answer = client.post("/api/images/generate", json={"prompt": "a", "parameters": {"deep": deep}})
    assert answer.status_code == 400
    assert "parameters.deep" in answer.json["detail"]


@pytest.mark.parametrize("path", [NOBODY, f"{NOBODY}/status", f"{NOBODY}/events"])
def test_an_unknown_request_is_not_found(client: FlaskClient, path: str) -> None:
    answer = client.get(path)
    assert answer.status_code == 404
    assert answer.json["code"] == "ERR_NOT_FOUND"
    assert client.delete(NOBODY).status_code == 404


@pytest.mark.parametrize(
    "name", ["1", "..", "%2e%2e", "' OR 1=1", "x" * 3000, "550e8400e29b41d4a716446655440000", "%00"]
)
def test_an_invalid_id_is_not_found(client: FlaskClient, name: str) -> None:
    assert client.get(f"/api/images/{name}/status").status_code == 404


def test_an_id_may_be_in_upper_case(client: FlaskClient) -> None:
    request_id = submit(client)["requestId"]
    assert client.get(f"/api/images/{request_id.upper()}/status").json["requestId"] == request_id


def test_a_status_has_the_fields_of_the_contract_and_the_reason_to_wait(client: FlaskClient) -> None:
    status = client.get(f"/api/images/{submit(client)['requestId']}/status").json
    assert status["status"] == "accepted"
    assert status["progress"] == 0
    assert TIME.fullmatch(status["timestamp"])
    assert TIME.fullmatch(status["queue"].pop("waitsUntil"))
    assert status["queue"] == {
        "position": 1,
        "reason": "No extension is connected.",
        "reasonCode": "NO_EXTENSION",
        "remedy": "Connect an extension.",
        "eligibleExtensions": 0,
        "busySlots": 0,
        "totalSlots": 0,
    }


def test_a_wait_without_changes_ends_after_its_timeout(client: FlaskClient) -> None:
    request_id = submit(client)["requestId"]
    assert client.get(f"/api/images/{request_id}/status?wait=0.05").json["status"] == "accepted"


def test_a_wait_is_answered_at_once_if_there_is_a_newer_version(client: FlaskClient) -> None:
    request_id = submit(client)["requestId"]
    assert client.get(f"/api/images/{request_id}/status?wait=60&since=0").json["version"] == 1


def test_a_wait_is_answered_at_the_change(client: FlaskClient, services: Services) -> None:
    request_id = submit(client)["requestId"]
    answers: list[Any] = []
    waiter = threading.Thread(
        target=lambda: answers.append(client.application.test_client().get(f"/api/images/{request_id}?wait=60").json)
    )
    waiter.start()
    until(lambda: services.watching.count, what="the request to be watched")
    services.cancellation.cancel(request_id)
    services.watching.catch_up()
    waiter.join(20)
    assert answers[0]["status"] == "cancelled"


@pytest.mark.parametrize(
    ("query", "detail"),
    [
        *((f"wait={value}", "wait must be between 0 and 60.") for value in ("61", "-1", "nan", "soon")),
        ("since=-1", "since must be between 0 and 2,147,483,647."),
        ("since=x", "since must be a whole number between 0 and 2,147,483,647."),
    ],
)
def test_a_wait_with_invalid_parameters_is_refused(client: FlaskClient, query: str, detail: str) -> None:
    answer = client.get(f"/api/images/{submit(client)['requestId']}/status?{query}")
    assert (answer.status_code, answer.json["detail"]) == (400, detail)


def test_a_list_contains_the_users_requests_newest_first_in_pages(client: FlaskClient) -> None:
    mine = [submit(client, userId="ann")["requestId"] for _ in range(5)]
    submit(client, userId="bob")
    seen: list[str] = []
    cursor = ""
    while True:
        page: Any = client.get(f"/api/images?userId=ann&limit=2{cursor}").json
        seen += [each["requestId"] for each in page["images"]]
        if "nextCursor" not in page:
            break
        cursor = f"&cursor={page['nextCursor']}"
    assert sorted(seen) == sorted(mine)
    assert seen == sorted(seen, reverse=True)


def test_with_open_access_a_list_contains_all_requests(client: FlaskClient) -> None:
    made = {submit(client, userId=user)["requestId"] for user in ("ann", "bob")} | {submit(client)["requestId"]}
    assert {each["requestId"] for each in client.get("/api/images").json["images"]} == made
    assert len(client.get("/api/images?userId=cli-user").json["images"]) == 1


def test_a_list_is_filtered_by_status(client: FlaskClient, services: Services) -> None:
    kept, gone = (submit(client)["requestId"] for _ in range(2))
    services.cancellation.cancel(gone)
    assert [each["requestId"] for each in client.get("/api/images?status=accepted").json["images"]] == [kept]
    assert [each["requestId"] for each in client.get("/api/images?status=cancelled").json["images"]] == [gone]


@pytest.mark.parametrize("query", ["limit=0", "limit=101", "limit=a", "status=done", "userId=a%20b", "cursor=%27--"])
def test_a_list_with_invalid_parameters_is_refused(client: FlaskClient, query: str) -> None:
    answer = client.get(f"/api/images?{query}")
    assert answer.status_code == 400
    assert answer.json["detail"].startswith(f"{query.partition('=')[0]} must be ")


def test_a_request_is_cancelled_once_and_stays_cancelled(client: FlaskClient) -> None:
    request_id = submit(client)["requestId"]
    for _ in range(2):
        answer = client.delete(f"/api/images/{request_id}")
        assert answer.status_code == 200
        assert answer.json["status"] == "cancelled"
    assert client.get(f"/api/images/{request_id}").json["status"] == "cancelled"


def test_a_finished_request_cannot_be_cancelled(client: FlaskClient, services: Services) -> None:
    request_id = submit(client, deadlineMs=1000)["requestId"]
    until(lambda: _is_failed(services, request_id), what="its deadline to pass")
    answer = client.delete(f"/api/images/{request_id}")
    assert answer.status_code == 409
    assert answer.json["code"] == "ERR_ALREADY_FINISHED"
    failed = client.get(f"/api/images/{request_id}").json
    assert failed["code"] == "ERR_TIMEOUT"
    assert "deadlineMs" in failed["error"]


def _is_failed(services: Services, request_id: str) -> bool:
    services.housekeeping.fail_late()
    return services.lookup.details(request_id).job.status is Status.FAILED
