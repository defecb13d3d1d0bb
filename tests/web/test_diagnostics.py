"""What the service tells operators about its own parts."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from flask.testing import FlaskClient

from app import container
from app.container import Services
from app.domain.access import Role, Scope
from app.factory import create_app
from tests.support.fakes import Bench


def links(client: FlaskClient, **headers: str) -> dict[str, Any]:
    """The links by their names."""
    answer = client.get("/api/diagnostics", headers=headers)
    assert answer.status_code == 200, answer.json
    return {each["name"]: each for each in answer.json["links"]}


def test_each_link_has_what_is_wrong_and_what_to_do(client: FlaskClient, bench: Bench) -> None:
    bench.tasks.queues["webhooks"] = None
    found = links(client)
    assert found["database"]["ok"]
    assert found["workers"] == {
        "number": 9,
        "name": "workers",
        "ok": False,
        "checked": True,
        "detail": "no worker takes tasks from webhooks",
        "code": "WORKER_MISSING",
        "remedy": "Start `python -m worker`, or look at its output for why it does not run.",
    }
    assert found["beat"] == {
        "number": 10,
        "name": "beat",
        "ok": False,
        "checked": False,
        "detail": "not checked, since it needs workers",
    }


def test_only_operators_may_look(guarded: Services) -> None:
    client = create_app(guarded.settings, guarded).test_client()
    keys = {}
    for name, role, scope in (("olga", Role.OPERATOR, Scope.ADMIN), ("ann", Role.USER, Scope.READ)):
        guarded.accounts.create_user(name, role)
        keys[name] = f"Bearer {guarded.accounts.create_key(name, (scope,))}"
    assert links(client, Authorization=keys["olga"])["database"]["ok"]
    assert client.get("/api/diagnostics").status_code == 401
    refused = client.get("/api/diagnostics", headers={"Authorization": keys["ann"]})
    assert (refused.status_code, refused.json["code"]) == (403, "ERR_FORBIDDEN")


def test_who_am_i_shows_what_a_key_may_do_and_what_is_left(bench: Bench) -> None:
    limits = replace(
        bench.ports.settings.limits, rate_requests=1, rate_burst=3, rate_global=100, quota_waiting=5, quota_inputs=0
    )
    services = container.build(bench.with_settings(auth_required=True, limits=limits).ports)
    client = create_app(services.settings, services).test_client()
    services.accounts.create_user("ann", Role.USER)
    key = services.accounts.create_key("ann", (Scope.READ, Scope.WRITE), lifetime_ms=86_400_000)
    headers = {"Authorization": f"Bearer {key}"}
    sent = client.post("/api/images/generate", json={"prompt": "a fox"}, headers=headers)
    me = client.get("/api/me", headers=headers).json
    assert (me["userId"], me["role"], me["scopes"]) == ("ann", "user", ["read", "write"])
    assert (me["operator"], me["credentialRequired"]) == (False, True)
    assert (me["credential"]["kind"], me["credential"]["id"]) == ("key", str(key).split("_")[1])
    assert me["credential"]["expiresAt"] > me["timestamp"]
    assert me["tier"] == {"name": "standard", "weight": 2, "defaultPriority": "normal", "highestPriority": "high"}
    assert (me["rate"]["limit"], me["rate"]["remaining"]) == (3, 2)
    assert me["rate"]["remaining"] == int(sent.headers["X-RateLimit-Remaining"])
    assert {each["name"]: (each["limit"], each["used"], each["remaining"]) for each in me["quotas"]} == {
        "QUOTA_WAITING": (5, 1, 4),
        "QUOTA_BATCH_ITEMS": (20_000, 0, 20_000),
    }
    assert client.get("/api/me", headers=headers).json["rate"]["remaining"] == 2, "asking costs nothing"


def test_limits_of_others_are_shown_to_operators_alone(guarded: Services) -> None:
    client = create_app(guarded.settings, guarded).test_client()
    guarded.accounts.create_user("ann", Role.USER)
    guarded.accounts.create_user("olga", Role.OPERATOR)
    ann = {"Authorization": f"Bearer {guarded.accounts.create_key('ann', (Scope.READ, Scope.WRITE))}"}
    olga = {"Authorization": f"Bearer {guarded.accounts.create_key('olga', tuple(Scope))}"}
    client.post("/api/images/generate", json={"prompt": "a fox"}, headers=ann)
    shown = client.get("/api/me?userId=ann", headers=olga).json
    assert (shown["userId"], shown["operator"]) == ("olga", True)
    assert {each["name"]: each["used"] for each in shown["quotas"]}["QUOTA_WAITING"] == 1
    assert client.get("/api/me?userId=olga", headers=ann).status_code == 403


def test_an_extension_learns_that_it_is_one(guarded: Services) -> None:
    client = create_app(guarded.settings, guarded).test_client()
    token = guarded.accounts.create_extension_token("painter")
    me: Any = client.get("/api/me", headers={"Authorization": f"Bearer {token}"}).json
    assert (me["role"], me["extensionId"], me["scopes"], me["quotas"]) == ("extension", "painter", [], [])
    assert "userId" not in me


def test_without_credentials_everybody_is_an_operator_and_users_are_counted_by_their_names(client: FlaskClient) -> None:
    client.post("/api/images/generate", json={"prompt": "a fox", "userId": "zoe"})
    me: Any = client.get("/api/me?userId=zoe").json
    assert (me["operator"], me["credentialRequired"]) == (True, False)
    assert "userId" not in me
    used = {each["name"]: each["used"] for each in me["quotas"]}
    assert used["QUOTA_WAITING"] == 1
    others = client.get("/api/me").json["quotas"]
    assert {each["used"] for each in others} == {0}
