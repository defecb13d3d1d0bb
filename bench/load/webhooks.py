"""`python -m bench.load.webhooks`: sends to webhooks in a process of its own, as the service does and as bare `requests` does."""

from __future__ import annotations

import time
import uuid
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any

import requests
from standardwebhooks import Webhook

from app.config import Settings
from app.container import build, real_ports
from app.domain.image_request import ImageRequest
from app.domain.webhooks import Target, WebhookEvent
from app.web.webhook_payloads import renderer
from bench.environment import MODEL, PROMPT, USER
from bench.load.loop import Loop, run_commands


def main() -> None:
    """Execute commands until stdin ends."""
    services = build(real_ports(Settings.from_env()))
    render = renderer(services)

    def define(url: str) -> dict[str, Any]:
        """Define a webhook, which is told of accepted requests."""
        return {"secret": services.webhooks.create(USER, Target(url, (WebhookEvent.ACCEPTED,))).secret}

    def submit(count: int) -> dict[str, Any]:
        """Store so many requests, each of which the webhook is to be told of."""
        for _ in range(count):
            services.submission.submit(ImageRequest(PROMPT, MODEL, USER, parameters={"width": 1024}), uuid.uuid4().hex)
        return {}

    def deliver() -> dict[str, Any]:
        """Send what is due, one after the other."""
        webhook_id = services.webhooks.page(USER, None, None, 1).endpoints[0].id

        def send() -> None:
            while services.webhooks.deliveries(USER, webhook_id, "pending", None, 1).deliveries:
                services.webhook_delivery.run(render)

        return _measured(send)

    def bare(count: int, url: str, body: str, secret: str) -> dict[str, Any]:
        """Sign and send the same so many times, over a new connection each time, which is checked for nothing."""
        webhook = Webhook(secret)

        def send() -> None:
            for number in range(count):
                now, name = datetime.now(UTC), f"evt_{number}"
                headers = {
                    "webhook-id": name,
                    "webhook-timestamp": str(int(now.timestamp())),
                    "webhook-signature": webhook.sign(name, now, body),
                    "Content-Type": "application/json",
                }
                requests.post(url, body.encode(), headers=headers, timeout=15).raise_for_status()

        return _measured(send)

    run_commands(Loop(), {"define": define, "submit": submit, "deliver": deliver, "bare": bare})


def _measured(send: Callable[[], None]) -> dict[str, float]:
    cpu, begun = time.process_time(), time.perf_counter()
    send()
    return {"cpu": time.process_time() - cpu, "seconds": time.perf_counter() - begun}


if __name__ == "__main__":
    main()
