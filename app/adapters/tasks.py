"""Waking workers through Celery. Tasks are sent by name; a message is a hint and carries no state but an id."""

from __future__ import annotations

import redis
from celery import Celery

from app.adapters.background import Background
from app.logs import correlation_id

ASSIGN = "dispatch.assign"
DOWNLOAD = "download.run"
STALE_S = 60.0  # a wake that was not taken by then has been sent again by a sweep; it must not pile up
CORRELATION_HEADER = "correlation_id"


class CeleryTasks:
    """Sends soon and never fails: the sweeps find what was not sent."""

    def __init__(self, celery: Celery, background: Background, client: redis.Redis) -> None:
        self._celery = celery
        self._background = background
        self._client = client

    def assign(self) -> None:
        """Somebody waits, or somebody is free: look who can be given to whom."""
        self._send(ASSIGN, ASSIGN)

    def download(self, request_id: str) -> None:
        """The pictures of this request are to be fetched."""
        self._send(f"{DOWNLOAD}:{request_id}", DOWNLOAD, request_id)

    def downloads_waiting(self) -> int:
        """How many wakes for downloads nobody has taken yet; 0 where that cannot be seen."""
        queue = self._celery.amqp.router.route({}, DOWNLOAD)["queue"].name
        try:
            return int(self._client.llen(queue))  # the list that Celery keeps a queue in has its name
        except redis.RedisError:
            return 0

    def _send(self, key: str, name: str, *args: str) -> None:
        headers = {CORRELATION_HEADER: correlation_id.get()}
        self._background.soon(
            key, lambda: self._celery.send_task(name, args=args, headers=headers, expires=STALE_S, retry=False)
        )
