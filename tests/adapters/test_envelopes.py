from __future__ import annotations

import dataclasses
import json
from typing import Any

import redis

from app.adapters.envelopes import Envelope
from app.adapters.redis_clients import redis_client
from app.config import Settings
from celery_config import DISPATCH, configured

TASK = "dispatch.assign"
# who sends, and what tells one message from another
ITS_OWN = {"id", "root_id", "origin", "correlation_id", "reply_to", "delivery_tag"}


def told(message: dict[str, Any]) -> dict[str, Any]:
    """The message without what differs from one to the next."""
    return {
        name: {key: each for key, each in value.items() if key not in ITS_OWN} if isinstance(value, dict) else value
        for name, value in message.items()
    }


def test_a_message_is_what_celery_itself_would_send(redis_url: str) -> None:
    celery = configured(dataclasses.replace(Settings.from_env({}), redis_url=redis_url))
    client: redis.Redis = redis_client(redis_url)
    client.delete(DISPATCH)
    celery.send_task(TASK, headers={"correlation_id": "c-1"}, retry=False)
    sent: Any = client.lpop(DISPATCH)
    made = json.loads(Envelope(celery, TASK).text("c-1"))
    assert told(made) == told(json.loads(sent))
    assert made.keys() == json.loads(sent).keys()


def test_no_message_is_like_another() -> None:
    envelope = Envelope(configured(Settings.from_env({})), TASK)
    one, other = (json.loads(envelope.text(None)) for _ in range(2))
    assert one["headers"]["id"] == one["headers"]["root_id"] == one["properties"]["correlation_id"]
    assert one["headers"]["id"] != other["headers"]["id"]
    assert one["properties"]["delivery_tag"] != other["properties"]["delivery_tag"]
