"""What the operations on webhooks send."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime

from imagefleet.calls.base import Call, Listing, get, nothing, part, reading, reading_page, send
from imagefleet.models import Delivery, Redelivered, Webhook, WebhookSecret

WEBHOOKS = "/api/webhooks"


def create(url: str, *, events: Sequence[str] | None, description: str | None, user_id: str | None) -> Call[Webhook]:
    """A new webhook."""
    body = {"url": url, "events": events, "description": description, "userId": user_id}
    return send("POST", WEBHOOKS, body, reading(Webhook))


def listing(*, user_id: str | None, request_id: str | None, page_size: int) -> Listing[Webhook]:
    """Webhooks, oldest first."""
    query = {"userId": user_id, "requestId": request_id, "limit": page_size}
    return Listing(WEBHOOKS, query, reading_page(Webhook, "webhooks"))


def details(webhook_id: str) -> Call[Webhook]:
    """One webhook."""
    return get(_one(webhook_id), reading(Webhook))


def change(
    webhook_id: str,
    *,
    url: str | None,
    events: Sequence[str] | None,
    description: str | None,
    enabled: bool | None,
) -> Call[Webhook]:
    """Change it."""
    body = {"url": url, "events": events, "description": description, "enabled": enabled}
    return send("PATCH", _one(webhook_id), body, reading(Webhook))


def remove(webhook_id: str) -> Call[None]:
    """Remove it."""
    return Call("DELETE", _one(webhook_id), read=nothing)


def rotate_secret(webhook_id: str | None, user_id: str | None = None) -> Call[WebhookSecret]:
    """A new secret of this webhook; of the account if that is None."""
    path = f"{WEBHOOKS}/account" if webhook_id is None else _one(webhook_id)
    return send("POST", f"{path}/rotate-secret", None, reading(WebhookSecret), {"userId": user_id})


def test(webhook_id: str) -> Call[Delivery]:
    """Send a test event."""
    return send("POST", f"{_one(webhook_id)}/test", None, reading(Delivery))


def redeliver(webhook_id: str, *, delivery_id: str | None, failed_since: datetime | None) -> Call[Redelivered]:
    """Send events again."""
    since = None if failed_since is None else failed_since.astimezone(UTC).isoformat().replace("+00:00", "Z")
    body = {"deliveryId": delivery_id, "failedSince": since}
    return send("POST", f"{_one(webhook_id)}/redeliver", body, reading(Redelivered))


def deliveries(webhook_id: str, *, status: str | None, page_size: int) -> Listing[Delivery]:
    """What was sent to it, newest first."""
    query = {"status": status, "limit": page_size}
    return Listing(f"{_one(webhook_id)}/deliveries", query, reading_page(Delivery, "deliveries"))


def _one(webhook_id: str) -> str:
    return f"{WEBHOOKS}/{part(webhook_id, 'webhook ID')}"
