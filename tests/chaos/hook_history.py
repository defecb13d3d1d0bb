"""The part of a run's history that is about webhooks."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from functools import cached_property
from typing import Any

from app.domain.webhooks import WebhookEvent
from tests.chaos.receiver_plan import Reply


@dataclass(frozen=True)
class Arrival:
    """An attempt that reached the receiver of webhooks. `verified` is whether its signature is valid."""

    at: float
    path: str
    event_id: str
    verified: bool
    body: bytes
    reply: Reply

    @cached_property
    def event(self) -> Any:
        """Its body, parsed."""
        return json.loads(self.body)

    @property
    def subject_id(self) -> str:
        """The request or batch that it is about."""
        data = self.event["data"]
        return str(data.get("requestId") or data.get("batchId"))

    @property
    def happened_at(self) -> int:
        """The time of the event, in ms."""
        return round(datetime.fromisoformat(self.event["timestamp"]).timestamp() * 1000)


@dataclass(frozen=True, slots=True)
class Hook:
    """A webhook: of all requests of a user, of a single request, or of a batch, each by its number."""

    path: str
    user: str
    events: Sequence[WebhookEvent]
    request: int | None = None
    batch: int | None = None

    @property
    def is_scoped(self) -> bool:
        """True if it is of a single request or batch."""
        return (self.request, self.batch) != (None, None)


@dataclass(frozen=True, slots=True)
class DeliveryRow:
    """The row of what is sent to a webhook."""

    path: str
    event_id: str
    status: str
    attempts: int
