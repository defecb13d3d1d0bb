"""Batches over HTTP: what is answered, what is refused, and who may do what."""

from __future__ import annotations

import dataclasses
import json
from typing import Any

import pytest
from flask.testing import FlaskClient

from app import container
from app.container import Services
from app.domain.access import Role, Scope
from app.factory import create_app
from tests.support.fakes import Bench

BATCHES = "/api/batches"
ITEMS = [{"customId": f"p{n}", "prompt": f"panel {n}"} for n in range(1, 4)]


def post(client: FlaskClient, path: str = "", body: Any = None, **more: Any) -> Any:
    answer = client.post(f"{BATCHES}{path}", json=body, **more)
    assert answer.status_code < 300, answer.text
    return answer.json


def create(client: FlaskClient, **more: Any) -> str:
    return str(post(client, body={"items": ITEMS, **more})["batchId"])


def get(client: FlaskClient, path: str = "", **more: Any) -> Any:
    answer = client.get(f"{BATCHES}{path}", **more)
    assert answer.status_code == 200, answer.text
    return answer.json


def counts(state: Any) -> dict[str, int]:
    return {name: count for name, count in state["counts"].items() if count}


def streamed(text: str) -> list[tuple[str, Any]]:
    blocks = [dict(line.split(": ", 1) for line in block.splitlines()) for block in text.strip().split("\n\n")]
    return [(block["event"], json.loads(block["data"])["data"]) for block in blocks if "data" in block]


def test_a_batch_is_answered_with_its_counts(client: FlaskClient) -> None:
    answer = client.post(BATCHES, json={"name": "chapter 3", "items": ITEMS, "concurrency": 2})
    assert answer.status_code == 201
    times = {name: answer.json[name] for name in ("batchId", "correlationId", "createdAt", "timestamp", "queue")}
    assert (times["queue"]["position"], times["queue"]["reasonCode"]) == (1, "NO_EXTENSION")
    assert answer.json == {
        "status": "running",
        "name": "chapter 3",
        "concurrency": 2,
        "counts": {
            "total": 3, "accepted": 3, "processing": 0, "downloading": 0, "completed": 0, "failed": 0, "cancelled": 0
        },
        **times,
    }  # fmt: skip


def test_an_item_is_a_request_that_names_its_batch(client: FlaskClient) -> None:
    batch = create(client)
    [first, _, _] = get(client, f"/{batch}/items")["items"]
    assert (first["index"], first["customId"], first["status"], first["prompt"]) == (1, "p1", "accepted", "panel 1")
    request = client.get(f"/api/images/{first['requestId']}").json
    assert (request["batchId"], request["index"], request["customId"]) == (batch, 1, "p1")


def test_the_items_of_a_status_are_listed_in_pages(client: FlaskClient) -> None:
    batch = create(client)
    item = get(client, f"/{batch}/items")["items"][1]
    client.delete(f"/api/images/{item['requestId']}")
    first = get(client, f"/{batch}/items?status=accepted&limit=1")
    assert ([each["index"] for each in first["items"]], first["nextCursor"]) == ([1], 1)
    second = get(client, f"/{batch}/items?status=accepted&limit=1&cursor=1")
    assert [each["index"] for each in second["items"]] == [3]
    assert "nextCursor" not in second
    assert [each["index"] for each in get(client, f"/{batch}/items?status=cancelled")["items"]] == [2]


def test_a_batch_shows_how_far_it_is(client: FlaskClient) -> None:
    batch = create(client, defaults={"style": "noir", "deadlineMs": 5000}, name="c")
    item = get(client, f"/{batch}/items")["items"][0]
    client.delete(f"/api/images/{item['requestId']}")
    state = get(client, f"/{batch}")
    assert counts(state) == {"total": 3, "accepted": 2, "cancelled": 1}
    assert (state["progress"], state["version"], state["failures"]) == (33, 2, {})
    assert state["defaults"] == {"style": "noir", "deadlineMs": 5000}
    [listed] = get(client)["batches"]
    assert {**listed, "timestamp": ""} == {**state, "timestamp": ""}


def test_batches_are_listed_newest_first_in_pages(client: FlaskClient) -> None:
    ids = [create(client, userId=user) for user in ("ann", "bob", "ann")]
    page = get(client, "?userId=ann&limit=1")
    assert [each["batchId"] for each in page["batches"]] == [ids[2]]
    last = get(client, f"?userId=ann&limit=1&cursor={page['nextCursor']}")
    assert [each["batchId"] for each in last["batches"]] == [ids[0]]
    assert "nextCursor" not in last
    assert [each["batchId"] for each in get(client)["batches"]] == ids[::-1]


def test_a_batch_can_be_paused_changed_and_resumed(client: FlaskClient) -> None:
    batch = create(client, concurrency=1)
    assert post(client, f"/{batch}/pause")["status"] == "paused"
    changed = client.patch(f"{BATCHES}/{batch}", json={"name": "new", "concurrency": 3, "priority": "low"}).json
    assert (changed["name"], changed["concurrency"], changed["defaults"]) == ("new", 3, {"priority": "low"})
    state = post(client, f"/{batch}/resume")
    assert state["status"] == "running"
    assert "pausedAt" not in state
    names = ["BatchCreatedEvent", "BatchPausedEvent", "BatchChangedEvent", "BatchResumedEvent"]
    post(client, f"/{batch}/cancel")
    events = streamed(client.get(f"{BATCHES}/{batch}/events").text)
    assert [name for name, _ in events][:4] == names
    assert events[2][1] == {"name": "new", "concurrency": 3, "priority": "low"}


def test_a_stream_is_resumed_after_its_last_event(client: FlaskClient) -> None:
    batch = create(client)
    post(client, f"/{batch}/cancel")
    text = client.get(f"{BATCHES}/{batch}/events", headers={"Last-Event-ID": "3"}).text
    assert [name for name, _ in streamed(text)] == ["BatchItemEndedEvent", "BatchFinishedEvent"]
    assert streamed(text)[0][1]["customId"] == "p3"
    assert client.get(f"{BATCHES}/{batch}/events?lastEventId=5").status_code == 204


def test_only_what_waits_is_cancelled_on_demand(client: FlaskClient) -> None:
    batch = create(client)
    state = post(client, f"/{batch}/cancel", {"scope": "waiting"})
    assert (state["status"], counts(state)) == ("completed", {"total": 3, "cancelled": 3})


def test_items_are_tried_again_with_edits(client: FlaskClient) -> None:
    batch = create(client)
    post(client, f"/{batch}/cancel", {"scope": "waiting"})
    before = get(client, f"/{batch}/items")["items"]
    edits = [{"customId": "p2", "prompt": "another panel", "parameters": {"width": 64}}, {"index": 3}]
    state = post(client, f"/{batch}/retry", {"items": edits})
    assert (state["status"], counts(state)) == ("running", {"total": 3, "accepted": 2, "cancelled": 1})
    after = get(client, f"/{batch}/items")["items"]
    assert [each.get("retryOf") for each in after] == [None, before[1]["requestId"], before[2]["requestId"]]
    assert (after[1]["prompt"], after[2]["prompt"]) == ("another panel", "panel 3")
    old = client.get(f"/api/images/{before[1]['requestId']}").json
    assert (old["status"], old["replacedBy"]) == ("cancelled", after[1]["requestId"])
    assert counts(post(client, f"/{batch}/retry", {"status": "cancelled"})) == {"total": 3, "accepted": 3}


def test_without_anything_to_do_a_batch_stays_as_it_is(client: FlaskClient) -> None:
    batch = create(client)
    assert post(client, f"/{batch}/retry", {})["version"] == 1
    assert client.patch(f"{BATCHES}/{batch}", json={}).json["version"] == 1


def test_items_are_added(client: FlaskClient) -> None:
    batch = create(client)
    state = post(client, f"/{batch}/items", {"items": [{"prompt": "one more"}]})
    assert state["counts"]["total"] == 4
    assert get(client, f"/{batch}/items?cursor=3")["items"][0]["prompt"] == "one more"


def test_a_wait_is_answered_at_once_if_there_is_news(client: FlaskClient) -> None:
    batch = create(client)
    assert get(client, f"/{batch}?wait=60&since=0")["version"] == 1
    post(client, f"/{batch}/cancel")
    assert get(client, f"/{batch}?wait=60&since=99")["status"] == "cancelled"


@pytest.mark.parametrize(
    ("body", "code", "named"),
    [
        ({}, "ERR_INVALID_REQUEST", "items"),
        ({"items": {}}, "ERR_INVALID_REQUEST", "items must be a list"),
        ({"items": []}, "ERR_INVALID_BATCH", "no items"),
        ({"items": [{"prompt": "a"}, {"promt": "b"}]}, "ERR_INVALID_BATCH", "1 of 2 items"),
        ({"items": ITEMS, "concurrency": 0}, "ERR_INVALID_REQUEST", "concurrency"),
        ({"items": ITEMS, "concurrency": 1001}, "ERR_INVALID_REQUEST", "concurrency"),
        ({"items": ITEMS, "name": "x" * 201}, "ERR_INVALID_REQUEST", "name"),
        ({"items": ITEMS, "defaults": {"style": "nothing"}}, "ERR_UNKNOWN_STYLE", "nothing"),
        ({"items": ITEMS, "defaults": {"prompt": "a"}}, "ERR_INVALID_REQUEST", "defaults.prompt"),
        ({"items": ITEMS, "defaults": {"deadlineMs": 1}}, "ERR_INVALID_REQUEST", "deadlineMs"),
        ({"items": ITEMS, "what": 1}, "ERR_INVALID_REQUEST", "what"),
    ],
)
def test_a_body_that_is_wrong_is_refused(client: FlaskClient, body: Any, code: str, named: str) -> None:
    answer = client.post(BATCHES, json=body)
    assert (answer.status_code, answer.json["code"]) == (400, code)
    assert named in answer.json["detail"]


def test_every_item_that_is_wrong_is_named(client: FlaskClient) -> None:
    items = [{"prompt": "a"}, {"prompt": "", "customId": "x"}, {"prompt": "c", "priority": "soon"}]
    errors = client.post(BATCHES, json={"items": items}).json["errors"]
    assert [(error["line"], error.get("customId"), error["field"]) for error in errors] == [
        (2, "x", "prompt"),
        (3, None, "priority"),
    ]


@pytest.mark.parametrize(
    ("method", "path", "body", "status"),
    [
        ("post", "/retry", {"status": "accepted"}, 400),
        ("post", "/retry", {"items": [{"prompt": "a fox"}]}, 400),
        ("post", "/retry", {"items": [{"index": 1, "customId": "p1"}]}, 400),
        ("post", "/retry", {"items": [{"index": 99}]}, 400),
        ("post", "/retry", {"items": [{"index": 1}]}, 400),
        ("post", "/cancel", {"scope": "some"}, 400),
        ("patch", "", {"concurrency": "3"}, 400),
    ],
)
def test_a_change_that_makes_no_sense_is_refused(
    client: FlaskClient, method: str, path: str, body: Any, status: int
) -> None:
    assert client.open(f"{BATCHES}/{create(client)}{path}", method=method, json=body).status_code == status


def test_a_batch_that_has_ended_cannot_be_paused(client: FlaskClient) -> None:
    batch = create(client)
    post(client, f"/{batch}/cancel")
    for action in ("pause", "resume"):
        answer = client.post(f"{BATCHES}/{batch}/{action}")
        assert (answer.status_code, answer.json["code"]) == (409, "ERR_ALREADY_FINISHED")
    assert post(client, f"/{batch}/cancel")["status"] == "cancelled"


def test_a_batch_is_made_once_for_each_key(client: FlaskClient) -> None:
    key = {"Idempotency-Key": '"chapter-3"'}
    first = client.post(BATCHES, json={"items": ITEMS}, headers=key)
    again = client.post(BATCHES, json={"items": ITEMS}, headers=key)
    assert (again.status_code, again.json) == (201, first.json)
    assert again.headers["Idempotency-Replayed"] == "true"
    assert client.post(BATCHES, json={"items": ITEMS[:1]}, headers=key).status_code == 422
    assert len(get(client)["batches"]) == 1


def test_a_batch_costs_one_token_of_the_rate_limit(bench: Bench) -> None:
    limits = dataclasses.replace(bench.ports.settings.limits, rate_requests=2, rate_burst=2)
    services = container.build(bench.with_settings(limits=limits).ports)
    client = create_app(services.settings, services).test_client()
    answer = client.post(BATCHES, json={"items": ITEMS})
    assert (answer.status_code, answer.headers["X-RateLimit-Remaining"]) == (201, "1")


def test_a_batch_may_be_larger_than_other_bodies(bench: Bench) -> None:
    services = container.build(bench.with_settings(max_body_bytes=50, batch_max_bytes=1_000).ports)
    client = create_app(services.settings, services).test_client()
    assert client.post(BATCHES, json={"items": ITEMS}).status_code == 201
    assert client.post(BATCHES, json={"items": ITEMS * 10}).status_code == 413
    assert client.post("/api/images/generate", json={"prompt": "x" * 60}).status_code == 413


def test_batches_of_others_are_not_found(guarded: Services) -> None:
    client = create_app(guarded.settings, guarded).test_client()
    for user, role in (("ann", Role.USER), ("bob", Role.USER), ("olga", Role.OPERATOR)):
        guarded.accounts.create_user(user, role)
    scopes = (Scope.READ, Scope.WRITE)
    ann, bob = ({"Authorization": f"Bearer {guarded.accounts.create_key(user, scopes)}"} for user in ("ann", "bob"))
    key = guarded.accounts.create_key("olga", (*scopes, Scope.ADMIN))
    batch = post(client, body={"items": ITEMS}, headers=ann)["batchId"]
    for method, path, body in (
        ("GET", "", None), ("GET", "/items", None), ("GET", "/events", None), ("PATCH", "", {"name": "x"}),
        ("POST", "/pause", None), ("POST", "/resume", None), ("POST", "/cancel", None),
        ("POST", "/retry", {"status": "failed"}), ("POST", "/items", {"items": ITEMS}),
    ):  # fmt: skip
        answer = client.open(f"{BATCHES}/{batch}{path}", method=method, json=body, headers=bob)
        assert answer.status_code == 404, (method, path)
        assert client.open(f"{BATCHES}/{batch}{path}", method=method, json=body).status_code == 401
    assert get(client, headers=bob)["batches"] == []
    paused = post(client, f"/{batch}/pause", headers={"Authorization": f"Bearer {key}"})
    assert (paused["userId"], paused["pausedBy"]) == ("ann", "olga")
