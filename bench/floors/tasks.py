"""A minimal Celery hand-off: a task that only publishes its argument."""

from __future__ import annotations

import os
from functools import cache

import redis
from celery import Celery

from app.adapters.celery_app import broker_url

CHANNEL = "floor"
NAME = "floor.publish"
URL = os.environ.get("FLOOR_REDIS_URL", "redis://127.0.0.1:6379/0")

app = Celery("floor", broker=broker_url(URL))
app.conf.update(
    task_default_queue="floor",
    task_serializer="json",
    accept_content=["json"],
    task_ignore_result=True,
    task_acks_late=True,
    worker_prefetch_multiplier=1,
    worker_enable_remote_control=False,
    broker_connection_retry_on_startup=True,
)


@cache
def _client() -> redis.Redis:
    return redis.Redis.from_url(URL)


@app.task(name=NAME)
def publish(text: str) -> None:
    """Publish the text."""
    _client().publish(CHANNEL, text)
