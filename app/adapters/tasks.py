"""Waking workers through Celery. Tasks are sent by name; a message is a hint and carries no state but an id."""

from __future__ import annotations

from collections.abc import Callable

import redis
from celery import Celery

from app.adapters.background import Background
from app.logs import correlation_id

ASSIGN = "dispatch.assign"
DOWNLOAD = "download.run"
ENOUGH = 20  # so many wakes in a queue that nobody has taken see everything that is there to be seen
CORRELATION_HEADER = "correlation_id"


class CeleryTasks:
    """Sends soon and never fails: the sweeps find what was not sent."""

    def __init__(self, celery: Celery, background: Background, client: redis.Redis) -> None:
        self._celery = celery
        self._background = background
        self._client = client

    def assign(self) -> None:
        """Somebody waits, or somebody is free: look who can be given to whom.

        Wakes do not pile up while no worker takes them, and none goes stale by a clock: clocks differ.
        """
        self._background.soon(ASSIGN, self._sender(ASSIGN, unless_beyond=ENOUGH))

    def download(self, request_id: str) -> None:
        """The pictures of this request are to be fetched."""
        self._background.soon(f"{DOWNLOAD}:{request_id}", self._sender(DOWNLOAD, request_id))

    def downloads_waiting(self) -> int:
        """How many wakes for downloads nobody has taken yet; 0 where that cannot be seen."""
        return self._untaken(DOWNLOAD)

    def _sender(self, name: str, *args: str, unless_beyond: int | None = None) -> Callable[[], None]:
        headers = {CORRELATION_HEADER: correlation_id.get()}

        def send() -> None:
            if unless_beyond is None or self._untaken(name) < unless_beyond:
                self._celery.send_task(name, args=args, headers=headers, retry=False)

        return send

    def _untaken(self, name: str) -> int:
        queue = self._celery.amqp.router.route({}, name)["queue"].name
        try:
            return int(self._client.llen(queue))  # the list that Celery keeps a queue in has its name
        except redis.RedisError:
            return 0
