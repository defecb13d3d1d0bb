"""Webhooks and what was sent to them."""

from __future__ import annotations

from imagefleet.models.base import Answer, Many, Time


class Webhook(Answer):
    """A webhook. `secret` is known only in the answer that made it; `disabled_reason` says why nothing is sent."""

    webhook_id: str
    url: str
    enabled: bool
    user_id: str | None = None
    request_id: str | None = None
    events: Many[str] = ()
    description: str | None = None
    disabled_reason: str | None = None
    failing_since: Time | None = None
    previous_secret_until: Time | None = None
    created_at: Time | None = None
    updated_at: Time | None = None
    secret: str | None = None


class WebhookSecret(Answer):
    """A new secret. Until `previous_secret_until`, events are signed with the previous one too."""

    secret: str
    previous_secret_until: Time | None = None


class Delivery(Answer):
    """An event that was sent to a webhook, and its last attempt: `status` is pending, delivered, failed or replaced."""

    delivery_id: str
    event_id: str
    type: str
    status: str
    sequence: int | None = None
    request_id: str | None = None
    attempts: int | None = None
    response_status: int | None = None
    response_body: str | None = None
    error: str | None = None
    duration_ms: int | None = None
    attempted_at: Time | None = None
    next_attempt_at: Time | None = None
    finished_at: Time | None = None
    occurred_at: Time | None = None


class Redelivered(Answer):
    """How many events are sent again."""

    count: int
    timestamp: Time | None = None
