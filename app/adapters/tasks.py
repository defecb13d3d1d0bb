"""Waking workers through Celery's queues. Tasks are sent by name; a message is a hint and carries no state but an id."""

from __future__ import annotations

import redis
from celery import Celery

from app.adapters.background import Background
from app.adapters.commands import Script, ask
from app.adapters.envelopes import Envelope
from app.logs import correlation_id

ASSIGN = "dispatch.assign"
DOWNLOAD = "download.run"
ENOUGH = 1  # a wake that nobody has taken yet will see everything that is there by then
CORRELATION_HEADER = "correlation_id"

# Looking and sending are one step, and one way to Redis.
UNLESS_ENOUGH = """
if redis.call('LLEN', KEYS[1]) < tonumber(ARGV[1]) then
  redis.call('LPUSH', KEYS[1], ARGV[2])
end
"""


class CeleryTasks:
    """Sends soon and never fails: the sweeps find what was not sent."""

    def __init__(self, celery: Celery, background: Background, client: redis.Redis) -> None:
        self._background = background
        self._client = client
        self._assign = Envelope(celery, ASSIGN)
        self._download = Envelope(celery, DOWNLOAD)
        self._unless_enough = Script(client, UNLESS_ENOUGH)

    def assign(self) -> None:
        """Somebody waits, or somebody is free: look who can be given to whom.

        Wakes do not pile up while no worker takes them, and none goes stale by a clock: clocks differ.
        """
        told = self._told()

        def send() -> None:
            self._unless_enough([self._assign.queue], [ENOUGH, self._assign.text((), told)])

        self._background.soon(ASSIGN, send)

    def download(self, request_id: str) -> None:
        """The pictures of this request are to be fetched."""
        told = self._told()
        self._background.soon(
            f"{DOWNLOAD}:{request_id}",
            lambda: ask(self._client, "LPUSH", self._download.queue, self._download.text((request_id,), told)),
        )

    def downloads_waiting(self) -> int:
        """How many wakes for downloads nobody has taken yet; 0 where that cannot be seen."""
        try:
            return int(self._client.llen(self._download.queue))  # the list that Celery keeps a queue in has its name
        except redis.RedisError:
            return 0

    @staticmethod
    def _told() -> dict[str, str | None]:
        return {CORRELATION_HEADER: correlation_id.get()}
