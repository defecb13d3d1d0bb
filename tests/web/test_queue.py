"""The queue over HTTP: its state, pausing and resuming it, and who may."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from flask.testing import FlaskClient

from app.container import Services
from app.db.tables import jobs
from app.domain.access import Role, Scope
from app.factory import create_app
from tests.support.downloads import PNG
from tests.support.fakes import Bench
from tests.support.harness import PICTURE, Harness

PAUSE, RESUME, QUEUE = "/api/queue/pause", "/api/queue/resume", "/api/queue"
LATER = "9999-01-01T00:00:00Z"
Shown = dict[str, str]


@pytest.fixture
def harness(bench: Bench, services: Services) -> Harness:
    """A harness on the services of the application."""
    return Harness(bench, services)


@pytest.fixture
def guarded_client(guarded: Services) -> FlaskClient:
    """An HTTP client of the application."""
    return create_app(guarded.settings, guarded).test_client()


@pytest.fixture
def key(guarded: Services) -> Callable[..., Shown]:
    """A function that creates a user with a key and returns the header with it."""

    def make(user: str, role: Role, *scopes: Scope) -> Shown:
        guarded.accounts.create_user(user, role)
        return {"Authorization": f"Bearer {guarded.accounts.create_key(user, scopes)}"}

    return make


def state(client: FlaskClient, **more: Any) -> Any:
    answer = client.get(QUEUE, **more)
    assert answer.status_code == 200
    return answer.json


def test_an_empty_queue_has_nothing_to_show(client: FlaskClient) -> None:
    shown = state(client)
    assert shown.pop("timestamp").endswith("Z")
    assert shown == {
        "waiting": 0,
        "queues": [],
        "paused": [],
        "slots": {"extensions": 0, "total": 0, "busy": 0, "byModel": []},
        "throughput": {"windowSeconds": 300, "completed": 0, "byModel": []},
    }


def test_depth_and_age_are_shown_by_model_and_class(client: FlaskClient, harness: Harness) -> None:
    for body in ({"priority": "low"}, {}, {}, {"model": "FLUX", "priority": "idle"}):
        assert client.post("/api/images/generate", json={"prompt": "a fox", **body}).status_code == 200
    statement = jobs.update().where(jobs.c.priority == 1).values(queued_at=harness.now() - 90_000)
    harness.bench.database.write(lambda tx: tx.connection.execute(statement))
    shown = state(client)
    queues = [(each["model"], each["priority"], each["depth"]) for each in shown["queues"]]
    assert queues == [("dall-e-3", "normal", 2), ("dall-e-3", "low", 1), ("flux", "idle", 1)]
    assert shown["waiting"] == 4
    assert shown["queues"][0]["oldestSeconds"] == pytest.approx(90, abs=30)
    assert shown["queues"][0]["oldestSince"] < shown["queues"][1]["oldestSince"]


def test_slots_and_throughput_are_shown_by_model(client: FlaskClient, harness: Harness) -> None:
    holder = harness.connect("e1", "dall-e-3", "Flux", max_concurrent=3)
    harness.connect("e2", max_concurrent=2)
    done = harness.submit_and_start()
    assert done.holder == "e1"
    harness.report_image(holder, done)
    harness.bench.fetch.answers[PICTURE] = PNG
    harness.run_downloads()
    harness.submit_and_start(model="flux")
    shown = state(client)
    assert {each["model"]: (each["extensions"], each["total"]) for each in shown["slots"]["byModel"]} == {
        "*": (2, 5),
        "dall-e-3": (2, 5),
        "flux": (2, 5),
    }
    assert (shown["slots"]["extensions"], shown["slots"]["total"], shown["slots"]["busy"]) == (2, 5, 1)
    assert shown["throughput"] == {
        "windowSeconds": 300,
        "completed": 1,
        "byModel": [{"model": "dall-e-3", "completed": 1}],
    }
    harness.update_job(done, finished_at=harness.now() - 400_000)
    assert state(client)["throughput"]["completed"] == 0


@pytest.mark.parametrize(
    ("body", "scope", "named"),
    [
        ({}, "all", {}),
        ({"model": "FLUX-2"}, "model", {"model": "flux-2"}),
        ({"userId": "ann"}, "user", {"userId": "ann"}),
        ({"extensionId": "e1", "drain": True}, "extension", {"extensionId": "e1", "state": "drained"}),
    ],
)
def test_what_is_paused_is_shown_until_it_is_resumed(
    client: FlaskClient, harness: Harness, body: dict[str, Any], scope: str, named: dict[str, Any]
) -> None:
    harness.connect("e1")
    paused = client.post(PAUSE, json={**body, "note": "Repairs", "until": LATER})
    assert paused.status_code == 200
    assert paused.json["scope"] == scope
    [shown] = state(client)["paused"]
    assert shown.pop("since").endswith("Z")
    expected = {"scope": scope, "state": "paused", "note": "Repairs", "until": "9999-01-01T00:00:00.000Z", **named}
    assert shown == expected
    target = {name: value for name, value in body.items() if name != "drain"}
    for _ in range(2):
        resumed = client.post(RESUME, json=target)
        assert (resumed.status_code, resumed.data) == (204, b"")
    assert state(client)["paused"] == []


@pytest.mark.parametrize(
    ("body", "message"),
    [
        ({"model": "a", "userId": "b"}, "Send one of model, userId and extensionId"),
        ({"until": "tomorrow"}, "until must be a time with its zone"),
        ({"until": "2024-02-30T00:00:00Z"}, "until must be a time with its zone"),
        ({"until": "2024-01-14T12:00:00"}, "until must be a time with its zone"),
        ({"until": "2024-01-14T12:00:00Z"}, "until must lie in the future"),
        ({"until": 5}, "until must be a time with its zone"),
        ({"note": "x" * 401}, "note is 401 characters long"),
        ({"drain": True}, "drain is for an extension"),
        ({"model": ""}, "model must be a string"),
        ({"extensionId": "a b"}, "extensionId must be a string"),
        ({"everything": True}, "everything"),
    ],
)
def test_an_invalid_pause_is_refused(client: FlaskClient, body: dict[str, Any], message: str) -> None:
    answer = client.post(PAUSE, json=body)
    assert (answer.status_code, answer.json["code"]) == (400, "ERR_INVALID_REQUEST")
    assert message in answer.json["detail"]
    assert state(client)["paused"] == []


def test_an_extension_that_never_connected_cannot_be_paused(client: FlaskClient) -> None:
    answer = client.post(PAUSE, json={"extensionId": "e9"})
    assert (answer.status_code, answer.json["detail"]) == (404, "No extension e9 has ever connected.")


def test_a_drained_extension_shows_in_the_list_of_extensions(client: FlaskClient, harness: Harness) -> None:
    harness.connect_and_start("e1")
    client.post(PAUSE, json={"extensionId": "e1", "drain": True, "note": "A new profile"})
    [listed] = client.get("/api/extensions").json["extensions"]
    assert (listed["standing"], listed["pausedByOperator"]["state"]) == ("draining", "draining")
    assert listed["pausedByOperator"]["note"] == "A new profile"


def test_a_waiting_request_says_at_once_why_it_waits(client: FlaskClient, harness: Harness) -> None:
    accepted: Any = client.post("/api/images/generate", json={"prompt": "a fox", "model": "flux-2"}).json
    queue = accepted["queue"]
    assert (queue["position"], queue["reasonCode"]) == (1, "NO_EXTENSION")
    assert (queue["reason"], queue["remedy"]) == (
        "No extension is connected.",
        "Connect an extension that makes flux-2.",
    )
    assert (queue["eligibleExtensions"], queue["busySlots"], queue["totalSlots"]) == (0, 0, 0)
    assert "eta" not in queue
    harness.connect("e1", "flux")
    status: Any = client.get(f"/api/images/{accepted['requestId']}/status").json
    assert status["queue"]["reasonCode"] == "NO_CAPABLE_EXTENSION"
    assert "Supported are: flux." in status["queue"]["reason"]


def test_a_repetition_gets_the_reason_of_then(client: FlaskClient, harness: Harness) -> None:
    def submit() -> Any:
        return client.post("/api/images/generate", json={"prompt": "a fox"}, headers={"Idempotency-Key": "k"}).json

    first = submit()
    assert first["queue"]["reasonCode"] == "NO_EXTENSION"
    harness.connect()
    assert submit() == first


def test_a_request_that_is_held_back_has_no_position(client: FlaskClient, harness: Harness) -> None:
    client.post(PAUSE, json={"userId": "ann", "note": "Too many"})
    accepted: Any = client.post("/api/images/generate", json={"prompt": "a fox", "userId": "ann"}).json
    assert "position" not in accepted["queue"]
    assert accepted["queue"]["reasonCode"] == "PAUSED_USER"
    assert accepted["queue"]["reason"].endswith(": Too many")
    [listed] = client.get("/api/images?userId=ann").json["images"]
    assert listed["queue"]["reasonCode"] == "PAUSED_USER"


def test_only_operators_pause_and_resume(guarded_client: FlaskClient, key: Callable[..., Shown]) -> None:
    user, operator = key("ann", Role.USER, Scope.READ, Scope.WRITE), key("olga", Role.OPERATOR, Scope.ADMIN)
    for path in (PAUSE, RESUME):
        assert guarded_client.post(path, json={}).status_code == 401
        refused = guarded_client.post(path, json={}, headers=user)
        assert (refused.status_code, refused.json["code"]) == (403, "ERR_FORBIDDEN")
    paused = guarded_client.post(PAUSE, json={}, headers=operator)
    assert (paused.status_code, paused.json["pausedBy"]) == (200, "olga")


def test_users_see_nothing_of_others(
    guarded_client: FlaskClient, guarded: Services, bench: Bench, key: Callable[..., Shown]
) -> None:
    ann, bob = (key(name, Role.USER, Scope.READ, Scope.WRITE) for name in ("ann", "bob"))
    olga = key("olga", Role.OPERATOR, Scope.ADMIN)
    Harness(bench, guarded).connect("e1")
    for body in ({}, {"userId": "ann"}, {"extensionId": "e1"}, {"model": "flux"}):
        assert guarded_client.post(PAUSE, json=body, headers=olga).status_code == 200

    def scopes(headers: Shown) -> list[str]:
        return [each["scope"] for each in state(guarded_client, headers=headers)["paused"]]

    assert scopes(olga) == ["all", "user", "extension", "model"]
    assert scopes(ann) == ["all", "user", "model"]
    assert scopes(bob) == ["all", "model"]
    for headers in (ann, bob):
        shown = str(state(guarded_client, headers=headers))
        assert "olga" not in shown
        assert "e1" not in shown


def test_the_tier_of_a_user_decides_the_priority(
    guarded_client: FlaskClient, guarded: Services, key: Callable[..., Shown]
) -> None:
    guarded.accounts.create_user("free", Role.USER, "free")
    secret = guarded.accounts.create_key("free", (Scope.READ, Scope.WRITE))
    free = {"Authorization": f"Bearer {secret}"}
    refused = guarded_client.post("/api/images/generate", json={"prompt": "a fox", "priority": "high"}, headers=free)
    assert (refused.status_code, refused.json["code"]) == (403, "ERR_FORBIDDEN")
    assert refused.json["detail"] == "priority high is higher than your tier (free) allows: the highest is normal."
    for headers, priority in ((free, "low"), (free, None), (key("ann", Role.USER, Scope.READ, Scope.WRITE), "high")):
        body = {"prompt": "a fox", **({} if priority is None else {"priority": priority})}
        assert guarded_client.post("/api/images/generate", json=body, headers=headers).status_code == 200
    shown = state(guarded_client, headers=key("olga", Role.OPERATOR, Scope.ADMIN))
    assert [each["priority"] for each in shown["queues"]] == ["high", "normal", "low"]
