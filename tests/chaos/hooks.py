"""The webhooks of a run: which there are, and their owner, who has everything sent again once the receiver is well."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from typing import Any

from app.db.engine import Database
from app.domain.clock import wire_time
from app.domain.image_request import DEFAULT_USER
from app.domain.webhooks import CHOICES, DEFAULT, WebhookEvent
from tests.chaos import snapshots
from tests.chaos.history import History
from tests.chaos.hook_history import DeliveryRow, Hook
from tests.chaos.plan import Plan
from tests.chaos.receiver import HookReceiver
from tests.support.service import Answer, Service, call
from tests.support.waiting import until

ENDS = (WebhookEvent.COMPLETED, WebhookEvent.FAILED, WebhookEvent.CANCELLED)


def planned_hooks(plan: Plan) -> Iterator[Hook]:
    """One of each user that is told of everything, and those of single requests and batches."""
    for user in sorted({DEFAULT_USER, *(request.user for request in plan.requests)}):
        yield Hook(f"/{user}/everything", user, CHOICES)
    for request in plan.requests:
        if request.number % 5 == 2:
            yield Hook(f"/{request.user}/request/{request.number}", request.user, ENDS, request=request.number)
    for batch in plan.batches:
        if batch.number % 2 == 0:
            yield Hook(f"/{DEFAULT_USER}/batch/{batch.number}", DEFAULT_USER, DEFAULT, batch=batch.number)


class HookOwner:
    """Defines the webhooks before the first request, and repairs them after the last one."""

    def __init__(self, service: Service, receiver: HookReceiver, history: History, reader: Database) -> None:
        self._service = service
        self._receiver = receiver
        self._history = history
        self._reader = reader
        self._since_ms = int(time.time() * 1000)

    def target_of(self, *, request: int | None = None, batch: int | None = None) -> dict[str, Any] | None:
        """The `webhook` that is given with this request or batch, if it has one."""
        for hook in self._history.hooks.values():
            if (hook.request, hook.batch) == (request, batch):
                return {"url": self._receiver.url(hook.path), "events": list(hook.events)}
        return None

    def define(self) -> None:
        """Define the webhooks of users, and get the secrets of their accounts."""
        of_accounts: dict[str, str] = {}
        for hook in self._history.hooks.values():
            if hook.is_scoped:
                self._receiver.secrets[hook.path] = of_accounts[hook.user]
                continue
            body = {"url": self._receiver.url(hook.path), "userId": hook.user, "events": list(hook.events)}
            self._receiver.secrets[hook.path] = self._post("/api/webhooks", body).json["secret"]
            account = self._post(f"/api/webhooks/account/rotate-secret?userId={hook.user}")
            of_accounts[hook.user] = account.json["secret"]

    def repair(self, patience_s: float) -> None:
        """Have everything sent again that was not delivered, as docs/webhooks.md says, and wait for it.

        What waits for a retry fails when its webhook is disabled, and failed events are sent again on request.
        """
        self._receiver.recover()
        found = snapshots.webhook_ids(self._reader)
        for webhook_id in found:
            self._patch(webhook_id, enabled=False)
        self._history.repaired_at = time.time()
        self._history.attempts = {(row.path, row.event_id): row.attempts for row in self._deliveries()}
        for webhook_id in found:
            self._patch(webhook_id, enabled=True)
            self._post(f"/api/webhooks/{webhook_id}/redeliver", {"failedSince": wire_time(self._since_ms)})
        ends = time.monotonic() + patience_s
        while self._is_waiting() and time.monotonic() < ends:
            time.sleep(0.2)

    def _deliveries(self) -> list[DeliveryRow]:
        return snapshots.deliveries(self._reader)

    def _is_waiting(self) -> bool:
        return any(row.status == "pending" for row in self._deliveries())

    def _post(self, path: str, body: object = None) -> Answer:
        return _insisting(lambda: self._service.post(path, body))

    def _patch(self, webhook_id: str, **changes: object) -> Answer:
        url = self._service.url(f"/api/webhooks/{webhook_id}")
        return _insisting(lambda: call("PATCH", url, changes))


def _insisting(send: Callable[[], Answer]) -> Answer:
    """Send it until it is done. Raises AssertionError if it is refused."""

    def done() -> Answer | None:
        try:
            answer = send()
        except OSError:
            return None
        assert answer.status < 300 or answer.status == 503, answer.content
        return answer if answer.status < 300 else None

    answer = until(done, 30, "an answer about a webhook")
    assert answer is not None
    return answer
