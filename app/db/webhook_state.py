"""Whether webhooks receive what is sent to them, over all users."""

from typing import NamedTuple

from sqlalchemy import Connection, func, select

from app.db.clock import now_ms
from app.db.webhook_tables import PENDING, webhook_deliveries, webhook_endpoints
from app.db.webhooks import ACCOUNT

_E = webhook_endpoints.c
_DELIVERY = webhook_deliveries.c
_WEBHOOKS = select(_E.id, _E.user_id, _E.url, _E.disabled_reason, _E.failing_since).where(_E.scope != ACCOUNT)


class FailingWebhook(NamedTuple):
    """A webhook that was disabled, for this reason, or whose attempts have all failed since then (ms)."""

    id: str
    user_id: str
    url: str
    disabled_reason: str | None
    failing_since: int | None


def disabled(connection: Connection, limit: int, *, except_for: str) -> list[FailingWebhook]:
    """Webhooks that are disabled for another reason than `except_for`, the latest first."""
    query = _WEBHOOKS.where(~_E.enabled, _E.disabled_reason != except_for)
    return [FailingWebhook._make(row) for row in connection.execute(query.order_by(_E.updated_at.desc()).limit(limit))]


def failing(connection: Connection, for_ms: int, limit: int) -> list[FailingWebhook]:
    """Enabled webhooks all of whose attempts have failed for that long, the longest first."""
    query = _WEBHOOKS.where(_E.enabled, _E.failing_since < now_ms() - for_ms)
    return [FailingWebhook._make(row) for row in connection.execute(query.order_by(_E.failing_since).limit(limit))]


def overdue_ms(connection: Connection) -> int:
    """For how long the delivery is overdue that should have been sent first; 0 if none is."""
    oldest = select(func.min(_DELIVERY.due_at)).where(PENDING).scalar_subquery()
    late: int | None = connection.execute(select(now_ms() - oldest)).scalar()
    return max(0, late or 0)


def pending(connection: Connection) -> int:
    """How many deliveries are to be sent, now or later."""
    return connection.execute(select(func.count()).select_from(webhook_deliveries).where(PENDING)).scalar_one()
