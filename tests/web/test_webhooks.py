"""Webhooks over HTTP: what is shown, who may do what, and what is refused."""

from __future__ import annotations

from typing import Any

import pytest
from flask.testing import FlaskClient

from app import container
from app.container import Services
from app.db.images import StoredImage
from app.domain.access import Role, Scope
from app.domain.webhooks import DEFAULT, Answer, WebhookEvent
from app.factory import create_app
from app.services.webhook_delivery import Message
from app.web.webhook_payloads import renderer
from tests.support.fakes import Bench
from tests.support.job_factory import add_job

WEBHOOKS = "/api/webhooks"
GENERATE = "/api/images/generate"
URL = "https://receiver.example/hooks"
NEW: dict[str, Any] = {"url": URL, "events": ["image.completed", "image.accepted"], "description": "The shop's"}
ABSENT = "0190d0c4-7b1a-7c3e-9d52-1f0f6a2b9e10"
Headers = dict[str, str]


@pytest.fixture
def created(client: FlaskClient) -> Any:
    """A webhook of the default user."""
    answer = client.post(WEBHOOKS, json=NEW)
    assert answer.status_code == 201, answer.text
    return answer.json


def deliver(services: Services) -> None:
    services.webhook_delivery.run(renderer(services))


def test_the_secret_is_shown_once(client: FlaskClient, created: Any) -> None:
    assert created["secret"].startswith("whsec_")
    assert (created["url"], created["description"], created["enabled"]) == (URL, "The shop's", True)
    assert created["events"] == ["image.accepted", "image.completed"]
    one = f"{WEBHOOKS}/{created['webhookId']}"
    shown = client.get(one).json
    assert shown == {name: value for name, value in created.items() if name != "secret"}
    assert client.get(WEBHOOKS).json["webhooks"] == [shown]
    for answer in (client.get(one), client.get(WEBHOOKS), client.get(f"{one}/deliveries")):
        assert created["secret"] not in answer.text


def test_all_events_but_progress_are_sent_by_default(client: FlaskClient) -> None:
    assert client.post(WEBHOOKS, json={"url": URL}).json["events"] == list(DEFAULT)


def test_a_webhook_is_changed_disabled_and_removed(client: FlaskClient, created: Any) -> None:
    one = f"{WEBHOOKS}/{created['webhookId']}"
    changed = client.patch(one, json={"url": f"{URL}/2", "events": ["image.failed"], "enabled": False}).json
    assert (changed["url"], changed["events"], changed["enabled"]) == (f"{URL}/2", ["image.failed"], False)
    assert changed["disabledReason"] == "Its owner disabled it."
    assert client.patch(one, json={"enabled": True}).json["enabled"] is True
    shown: Any = client.get(one).json
    assert "disabledReason" not in shown
    assert client.delete(one).status_code == 204
    assert client.get(one).status_code == 404


def test_the_secret_is_rotated(client: FlaskClient, created: Any) -> None:
    rotated = client.post(f"{WEBHOOKS}/{created['webhookId']}/rotate-secret").json
    assert rotated["secret"] != created["secret"]
    assert (
        client.get(f"{WEBHOOKS}/{created['webhookId']}").json["previousSecretUntil"] == rotated["previousSecretUntil"]
    )
    account = client.post(f"{WEBHOOKS}/account/rotate-secret").json
    assert account["secret"].startswith("whsec_")
    assert [each["webhookId"] for each in client.get(WEBHOOKS).json["webhooks"]] == [created["webhookId"]]


def test_the_webhook_of_a_request_is_found_by_its_request(
    client: FlaskClient, bench: Bench, services: Services
) -> None:
    body = {"prompt": "a fox", "webhook": {"url": URL, "events": ["image.accepted"]}}
    request_id = client.post(GENERATE, json=body).json["requestId"]
    deliver(services)
    [webhook] = client.get(f"{WEBHOOKS}?requestId={request_id}").json["webhooks"]
    assert (webhook["requestId"], webhook["url"]) == (request_id, URL)
    [delivery] = client.get(f"{WEBHOOKS}/{webhook['webhookId']}/deliveries").json["deliveries"]
    assert (delivery["type"], delivery["status"], delivery["requestId"]) == ("image.accepted", "delivered", request_id)
    assert client.get(WEBHOOKS).json["webhooks"] == []


def test_a_repeated_submission_with_a_key_makes_one_webhook(client: FlaskClient, services: Services) -> None:
    body = {"prompt": "a fox", "webhook": {"url": URL}}
    for _ in range(2):
        answer = client.post(GENERATE, json=body, headers={"Idempotency-Key": "one"})
        assert answer.status_code == 200
    assert len(client.get(f"{WEBHOOKS}?requestId={answer.json['requestId']}").json["webhooks"]) == 1
    changed = {**body, "webhook": {"url": f"{URL}/2"}}
    assert client.post(GENERATE, json=changed, headers={"Idempotency-Key": "one"}).status_code == 422


def test_deliveries_show_how_attempts_went(client: FlaskClient, created: Any, bench: Bench, services: Services) -> None:
    one = f"{WEBHOOKS}/{created['webhookId']}"
    bench.post.answers[URL] = Answer(503, b"down for maintenance")
    client.post(GENERATE, json={"prompt": "a fox"})
    deliver(services)
    [delivery] = client.get(f"{one}/deliveries?status=pending").json["deliveries"]
    assert (delivery["attempts"], delivery["responseStatus"]) == (1, 503)
    assert delivery["responseBody"] == "down for maintenance"
    assert delivery["nextAttemptAt"] > delivery["attemptedAt"]
    assert client.get(one).json["failingSince"]
    assert client.get(f"{one}/deliveries?status=failed").json["deliveries"] == []


def test_a_test_event_is_sent(client: FlaskClient, created: Any, bench: Bench, services: Services) -> None:
    one = f"{WEBHOOKS}/{created['webhookId']}"
    sent = client.post(f"{one}/test")
    assert sent.status_code == 202
    assert (sent.json["type"], sent.json["status"]) == ("webhook.test", "pending")
    deliver(services)
    assert bench.post.sent[-1].json["type"] == "webhook.test"
    again = client.post(f"{one}/redeliver", json={"deliveryId": sent.json["deliveryId"]})
    assert (again.status_code, again.json["count"]) == (202, 1)
    client.patch(one, json={"enabled": False})
    refused = client.post(f"{one}/test")
    assert (refused.status_code, refused.json["code"]) == (409, "ERR_WEBHOOK_DISABLED")


BAD: dict[str, dict[str, Any]] = {
    "url is missing": {},
    "url": {"url": "ftp://receiver.example"},
    "events": {"url": URL, "events": ["image.done"]},
    "description": {"url": URL, "description": "a\x00b"},
    "secret": {"url": URL, "secret": "whsec_mine"},
    "userId": {"url": URL, "userId": "a/b"},
}


@pytest.mark.parametrize("field", BAD)
def test_a_bad_field_is_named(client: FlaskClient, field: str) -> None:
    answer = client.post(WEBHOOKS, json=BAD[field])
    assert answer.status_code == 400
    assert field.split(" ", maxsplit=1)[0] in answer.json["detail"]


AGAIN: list[dict[str, Any]] = [
    {},
    {"deliveryId": "1", "failedSince": "2024-01-14T12:00:00Z"},
    {"deliveryId": 1},
    {"deliveryId": "-1"},
    {"deliveryId": "1" * 40},
    {"failedSince": "yesterday"},
    {"failedSince": "2024-01-14T12:00:00"},
    {"failedSince": 5},
]


@pytest.mark.parametrize("body", AGAIN)
def test_what_is_to_be_sent_again_must_be_clear(client: FlaskClient, created: Any, body: dict[str, Any]) -> None:
    answer = client.post(f"{WEBHOOKS}/{created['webhookId']}/redeliver", json=body)
    assert (answer.status_code, answer.json["code"]) == (400, "ERR_INVALID_REQUEST")


def test_a_refused_address_has_a_code_of_its_own(client: FlaskClient, bench: Bench) -> None:
    bench.post.refused.add(URL)
    for path, body in ((WEBHOOKS, {"url": URL}), (GENERATE, {"prompt": "a fox", "webhook": {"url": URL}})):
        answer = client.post(path, json=body)
        assert (answer.status_code, answer.json["code"]) == (400, "ERR_WEBHOOK_REFUSED")
        assert "WEBHOOK_ALLOWLIST" in answer.json["detail"]


@pytest.mark.parametrize("webhook_id", ["x", "account", ABSENT])
@pytest.mark.parametrize(("method", "path"), [("GET", ""), ("DELETE", ""), ("GET", "/deliveries"), ("POST", "/test")])
def test_what_is_no_webhook_is_not_found(client: FlaskClient, webhook_id: str, method: str, path: str) -> None:
    assert client.open(f"{WEBHOOKS}/{webhook_id}{path}", method=method).status_code == 404


def test_users_see_and_change_their_own_webhooks_alone(guarded: Services) -> None:
    client = create_app(guarded.settings, guarded).test_client()
    ann, ben, olga = (key(guarded, user) for user in ("ann", "ben", "olga"))
    reading = key(guarded, "ann", Scope.READ)
    made = client.post(WEBHOOKS, json=NEW, headers=ann).json
    one = f"{WEBHOOKS}/{made['webhookId']}"
    assert made["userId"] == "ann"
    assert client.get(WEBHOOKS, headers=ben).json["webhooks"] == []
    for method, path in (("GET", ""), ("PATCH", ""), ("DELETE", ""), ("POST", "/rotate-secret"), ("POST", "/test")):
        body = {"enabled": False} if method == "PATCH" else None
        assert client.open(one + path, method=method, json=body, headers=ben).status_code == 404
    assert client.post(f"{one}/rotate-secret", headers=reading).status_code == 403
    assert client.get(one, headers=reading).status_code == 200
    assert client.get(f"{WEBHOOKS}?userId=ann", headers=ben).status_code == 403
    assert client.post(WEBHOOKS, json={**NEW, "userId": "ann"}, headers=ben).status_code == 403
    assert client.post(f"{WEBHOOKS}/account/rotate-secret?userId=ann", headers=ben).status_code == 403
    assert len(client.get(f"{WEBHOOKS}?userId=ann", headers=olga).json["webhooks"]) == 1
    assert client.get(WEBHOOKS).status_code == 401


def key(services: Services, user: str, *scopes: Scope) -> Headers:
    """A header with a new key of the user, who is created if need be; olga is an operator."""
    known = {each.id for each in services.accounts.list_users()}
    if user not in known:
        services.accounts.create_user(user, Role.OPERATOR if user == "olga" else Role.USER)
    granted = scopes or ((Scope.READ, Scope.WRITE, Scope.ADMIN) if user == "olga" else (Scope.READ, Scope.WRITE))
    return {"Authorization": f"Bearer {services.accounts.create_key(user, granted)}"}


def test_too_many_webhooks_are_refused(client: FlaskClient) -> None:
    for number in range(20):
        assert client.post(WEBHOOKS, json={"url": f"{URL}/{number}"}).status_code == 201
    refused = client.post(WEBHOOKS, json={"url": URL})
    assert (refused.status_code, refused.json["code"]) == (409, "ERR_TOO_MANY_WEBHOOKS")


def test_the_address_of_pictures_is_the_services_own(bench: Bench) -> None:
    services = container.build(bench.with_settings(public_url="https://images.example").ports)
    stored = StoredImage(0, "a.png", None, 1, 1, 1, "0" * 64)
    job = add_job(services.ports.database, status="completed")
    message = Message("evt_1", WebhookEvent.COMPLETED, 1, 1, job, (stored,))
    assert '"imageUrl":"https://images.example/generated-images/a.png"' in renderer(services)(message)
