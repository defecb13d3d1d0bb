"""Webhooks of users: their limits, secrets, changes, and what is sent again."""

from __future__ import annotations

from functools import partial

import pytest
from sqlalchemy import Connection, select
from standardwebhooks import Webhook, WebhookVerificationError

from app.db.webhook_tables import webhook_deliveries, webhook_endpoints
from app.domain.errors import NotFound, TooManyWebhooks, WebhookDisabled, WebhookRefused
from app.domain.ids import uuid7
from app.domain.webhooks import ENDPOINTS_EACH, Answer, Target, WebhookEvent
from app.services.webhooks import Webhooks
from tests.support.harness import Harness
from tests.support.webhooks import OTHER, URL, Receiver, deliver, make_due

BROKEN = Answer(500, b"")
DAY = 86_400_000


@pytest.fixture
def webhooks(harness: Harness) -> Webhooks:
    """The service under test."""
    return harness.services.webhooks


@pytest.fixture
def receiver(harness: Harness) -> Receiver:
    return Receiver.create(harness)


def verifies(receiver: Receiver, secret: str) -> bool:
    """Whether the last message verifies with this secret."""
    try:
        Webhook(secret).verify(receiver.sent[-1].body, dict(receiver.sent[-1].headers))
    except WebhookVerificationError:
        return False
    return True


def test_what_is_sent_is_signed_with_the_secret_that_was_shown(harness: Harness, receiver: Receiver) -> None:
    harness.submit()
    deliver(harness)
    assert verifies(receiver, receiver.secret)
    assert not verifies(receiver, Receiver.create(harness, OTHER).secret)


def test_two_secrets_are_valid_during_a_rotation(harness: Harness, webhooks: Webhooks, receiver: Receiver) -> None:
    rotated = webhooks.rotate_secret("ann", receiver.endpoint.id)
    assert rotated.secret != receiver.secret
    harness.submit()
    deliver(harness)
    assert verifies(receiver, receiver.secret)
    assert verifies(receiver, rotated.secret)
    assert len(receiver.sent[-1].headers["webhook-signature"].split(" ")) == 2


def test_the_previous_secret_ends_with_the_overlap(harness: Harness, webhooks: Webhooks, receiver: Receiver) -> None:
    rotated = webhooks.rotate_secret("ann", receiver.endpoint.id)
    assert rotated.endpoint.previous_until == pytest.approx(harness.now() + DAY, abs=60_000)
    receiver.update(previous_until=harness.now() - 1)
    harness.submit()
    deliver(harness)
    assert verifies(receiver, rotated.secret)
    assert not verifies(receiver, receiver.secret)


def test_a_webhook_of_a_request_is_signed_with_the_secret_of_the_account(harness: Harness, webhooks: Webhooks) -> None:
    early = webhooks.rotate_account_secret("ann").secret
    job = harness.submit(webhook=Target(URL))
    [endpoint] = webhooks.page("ann", job.id, None, 9).endpoints
    deliver(harness)
    receiver = Receiver(harness, endpoint, early)
    assert verifies(receiver, early)
    late = webhooks.rotate_account_secret("ann").secret
    harness.services.cancellation.cancel(job.id)
    deliver(harness)
    assert verifies(receiver, early)
    assert verifies(receiver, late)
    assert not verifies(receiver, webhooks.rotate_account_secret("ben").secret)


def test_no_secret_is_in_the_database(harness: Harness, receiver: Receiver) -> None:
    """Their key is, where SECRET_KEY is not set."""
    secret = receiver.secret.removeprefix("whsec_")
    harness.submit()
    deliver(harness)
    for table in (webhook_endpoints, webhook_deliveries):
        query = select(table)
        rows = harness.bench.database.read(partial(Connection.execute, statement=query)).all()
        assert rows
        assert secret not in repr(rows)


def test_another_secret_key_is_noticed_before_anything_is_signed_wrongly(harness: Harness, receiver: Receiver) -> None:
    changed = harness.with_settings(secret_key="another key of at least 32 bytes")
    changed.submit()
    deliver(changed)
    assert receiver.sent == []
    [delivery] = receiver.deliveries()
    assert delivery.status == "pending"
    assert "rotate the secret" in (delivery.error or "")
    rotated = changed.services.webhooks.rotate_secret("ann", receiver.endpoint.id)
    assert rotated.endpoint.previous_until is None
    make_due(changed)
    deliver(changed)
    assert verifies(receiver, rotated.secret)


def test_a_user_has_a_limited_number_of_webhooks(webhooks: Webhooks) -> None:
    for number in range(ENDPOINTS_EACH):
        webhooks.create("ann", Target(f"{URL}/{number}"))
    with pytest.raises(TooManyWebhooks):
        webhooks.create("ann", Target(URL))
    webhooks.create("ben", Target(URL))


def test_a_refused_address_is_not_stored(harness: Harness, webhooks: Webhooks, receiver: Receiver) -> None:
    harness.bench.post.refused.add(OTHER)
    with pytest.raises(WebhookRefused):
        webhooks.create("ann", Target(OTHER))
    with pytest.raises(WebhookRefused):
        webhooks.change("ann", receiver.endpoint.id, url=OTHER)
    assert [each.url for each in webhooks.page("ann", None, None, 9).endpoints] == [URL]


def test_webhooks_are_listed_page_by_page(webhooks: Webhooks) -> None:
    made = [webhooks.create("ann", Target(f"{URL}/{number}")).endpoint.id for number in range(5)]
    webhooks.create("ben", Target(URL))
    first = webhooks.page("ann", None, None, 3)
    second = webhooks.page("ann", None, first.cursor, 3)
    assert [each.id for page in (first, second) for each in page.endpoints] == made
    assert second.cursor is None


ACTS = {
    "find": lambda service, user, known: service.find(user, known),
    "change": lambda service, user, known: service.change(user, known, description="x"),
    "remove": lambda service, user, known: service.remove(user, known),
    "rotate": lambda service, user, known: service.rotate_secret(user, known),
    "deliveries": lambda service, user, known: service.deliveries(user, known, None, None, 9),
    "redeliver": lambda service, user, known: service.redeliver(user, known, 1),
    "redeliver failed": lambda service, user, known: service.redeliver_failed(user, known, 0),
    "test": lambda service, user, known: service.test(user, known),
}


@pytest.mark.parametrize("act", ACTS)
def test_a_webhook_of_somebody_else_is_not_found(webhooks: Webhooks, receiver: Receiver, act: str) -> None:
    with pytest.raises(NotFound):
        ACTS[act](webhooks, "ben", receiver.endpoint.id)
    with pytest.raises(NotFound):
        ACTS[act](webhooks, "ann", uuid7(1, bytes(10)))
    assert receiver.reload() == receiver.endpoint


@pytest.mark.parametrize("act", ACTS)
def test_the_row_of_an_account_is_no_webhook(harness: Harness, webhooks: Webhooks, act: str) -> None:
    account = webhooks.rotate_account_secret("ann").endpoint
    with pytest.raises(NotFound):
        ACTS[act](webhooks, "ann", account.id)
    assert webhooks.page("ann", "account", None, 9).endpoints == ()


def test_a_removed_webhook_takes_its_deliveries_with_it(
    harness: Harness, webhooks: Webhooks, receiver: Receiver
) -> None:
    harness.submit()
    webhooks.remove("ann", receiver.endpoint.id)
    deliver(harness)
    assert receiver.sent == []
    with pytest.raises(NotFound):
        webhooks.find("ann", receiver.endpoint.id)


def test_what_failed_while_it_was_disabled_is_sent_again_on_request(
    harness: Harness, webhooks: Webhooks, receiver: Receiver
) -> None:
    harness.submit()
    webhooks.change("ann", receiver.endpoint.id, enabled=False)
    deliver(harness)
    assert receiver.sent == []
    [failed] = receiver.deliveries()
    assert failed.error == "The webhook is disabled. Its owner disabled it."
    with pytest.raises(WebhookDisabled):
        webhooks.redeliver_failed("ann", receiver.endpoint.id, 0)
    assert webhooks.change("ann", receiver.endpoint.id, enabled=True).disabled_reason is None
    assert webhooks.redeliver_failed("ann", receiver.endpoint.id, failed.occurred_at + 1) == 0
    assert webhooks.redeliver_failed("ann", receiver.endpoint.id, failed.occurred_at) == 1
    deliver(harness)
    assert receiver.sent[0].headers["webhook-id"] == failed.event_id


def test_one_delivery_is_sent_again_with_its_own_id(harness: Harness, webhooks: Webhooks, receiver: Receiver) -> None:
    harness.submit()
    deliver(harness)
    [delivered] = receiver.deliveries()
    assert webhooks.redeliver("ann", receiver.endpoint.id, delivered.id) == 1
    deliver(harness)
    assert [each.headers["webhook-id"] for each in receiver.sent] == [delivered.event_id] * 2
    assert receiver.sent[0].body == receiver.sent[1].body


def test_a_pending_delivery_is_not_sent_again(harness: Harness, webhooks: Webhooks, receiver: Receiver) -> None:
    receiver.answer(BROKEN)
    harness.submit()
    deliver(harness)
    with pytest.raises(NotFound):
        webhooks.redeliver("ann", receiver.endpoint.id, receiver.deliveries()[0].id)


def test_a_delivery_of_another_webhook_is_not_sent_again(
    harness: Harness, webhooks: Webhooks, receiver: Receiver
) -> None:
    other = Receiver.create(harness, OTHER)
    harness.submit()
    deliver(harness)
    with pytest.raises(NotFound):
        webhooks.redeliver("ann", receiver.endpoint.id, other.deliveries()[0].id)


def test_deliveries_are_listed_newest_first_and_by_status(
    harness: Harness, webhooks: Webhooks, receiver: Receiver
) -> None:
    for _ in range(3):
        harness.submit()
    deliver(harness)
    receiver.answer(BROKEN)
    harness.submit()
    deliver(harness)
    known = receiver.endpoint.id
    first = webhooks.deliveries("ann", known, None, None, 3)
    second = webhooks.deliveries("ann", known, None, first.cursor, 3)
    listed = [*first.deliveries, *second.deliveries]
    assert [each.id for each in listed] == sorted((each.id for each in listed), reverse=True)
    assert [each.status for each in listed] == ["pending", "delivered", "delivered", "delivered"]
    assert second.cursor is None
    assert len(webhooks.deliveries("ann", known, "delivered", None, 9).deliveries) == 3


def test_changed_events_count_from_then_on(harness: Harness, webhooks: Webhooks, receiver: Receiver) -> None:
    changed = webhooks.change("ann", receiver.endpoint.id, events=(WebhookEvent.CANCELLED,), description="")
    assert changed.events == (WebhookEvent.CANCELLED,)
    harness.services.cancellation.cancel(harness.submit().id)
    deliver(harness)
    assert receiver.types == ["image.cancelled"]
