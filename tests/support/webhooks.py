"""Webhooks in tests of services: receivers that are simulated, and the passing of time."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from sqlalchemy import select

from app.db.webhook_deliveries import Delivery
from app.db.webhook_tables import webhook_deliveries, webhook_endpoints
from app.db.webhooks import Endpoint
from app.domain.webhooks import CHOICES, Target, WebhookEvent
from app.web.webhook_payloads import renderer
from tests.support.fakes import Sent
from tests.support.harness import Harness

URL = "https://receiver.example/hooks"
OTHER = "https://other.example/hooks"


@dataclass(frozen=True)
class Receiver:
    """One webhook of the harness's services."""

    harness: Harness
    endpoint: Endpoint
    secret: str

    @classmethod
    def create(
        cls, harness: Harness, url: str = URL, events: tuple[WebhookEvent, ...] = CHOICES, user: str = "ann"
    ) -> Receiver:
        """Create a webhook of the user."""
        made = harness.services.webhooks.create(user, Target(url, events))
        return cls(harness, made.endpoint, made.secret)

    @property
    def sent(self) -> list[Sent]:
        """What was sent to its address, in order; each attempt counts."""
        return [each for each in self.harness.bench.post.sent if each.url == self.endpoint.url]

    @property
    def types(self) -> list[str]:
        """The types of the events that were sent, in order."""
        return [each.json["type"] for each in self.sent]

    def answer(self, answer: Any) -> None:
        """Have the receiver answer so from now on."""
        self.harness.bench.post.answers[self.endpoint.url] = answer

    def deliveries(self) -> list[Delivery]:
        """Its deliveries, oldest first."""
        page = self.harness.services.webhooks.deliveries(None, self.endpoint.id, None, None, 1000)
        return list(reversed(page.deliveries))

    def reload(self) -> Endpoint:
        """The webhook as it is now."""
        return self.harness.services.webhooks.find(None, self.endpoint.id)

    def update(self, **values: object) -> None:
        """Set columns of its row, to simulate that time has passed."""
        statement = webhook_endpoints.update().where(webhook_endpoints.c.id == self.endpoint.id).values(**values)
        self.harness.bench.database.write(lambda tx: tx.connection.execute(statement))


def deliver(harness: Harness) -> None:
    """Send what is due, as a worker does."""
    harness.services.webhook_delivery.run(renderer(harness.services))


def make_due(harness: Harness) -> None:
    """Let all pauses end."""
    statement = webhook_deliveries.update().where(webhook_deliveries.c.status == "pending").values(due_at=1)
    harness.bench.database.write(lambda tx: tx.connection.execute(statement))


def pauses(harness: Harness) -> list[int]:
    """How long each pending delivery still waits, in ms, as it was stored at its last attempt."""
    columns = (webhook_deliveries.c.due_at, webhook_deliveries.c.attempted_at)
    query = select(*columns).where(webhook_deliveries.c.status == "pending").order_by(webhook_deliveries.c.id)
    rows = harness.bench.database.read(lambda c: c.execute(query).all())
    return [due_at - (attempted_at or 0) for due_at, attempted_at in rows]
