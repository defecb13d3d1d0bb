"""Waking workers through Celery's queues. Tasks are sent by name; a message is a hint and carries no state."""

from __future__ import annotations

import time
from collections.abc import Callable

import redis
from celery import Celery

from app.adapters.background import Background
from app.adapters.commands import Commands
from app.adapters.envelopes import Envelope
from app.logs import correlation_id

ASSIGN = "dispatch.assign"
DOWNLOAD = "download.run"
ENOUGH = 1  # a wake that nobody has taken yet will see everything that is there by then

# Looking and sending are one step, and one way to Redis for all wakes that are asked for at the same moment.
UNLESS_ENOUGH = """
for i, queue in ipairs(KEYS) do
  if redis.call('LLEN', queue) < tonumber(ARGV[1]) then
    redis.call('LPUSH', queue, ARGV[i + 1])
  end
end
"""


class CeleryTasks:
    """Sends soon and never fails: the sweeps find what was not sent.

    Where whoever asks is `alone`, so that no other wakes could go along, and Redis is quick, that is at once and without the
    thread that waits for Redis. Wakes do not pile up while no worker takes them, and none goes stale by a clock: clocks differ.
    """

    def __init__(
        self, celery: Celery, background: Background, commands: Commands, alone: Callable[[], bool] = lambda: False
    ) -> None:
        self._alone = alone
        self._background = background
        self._assign = Envelope(celery, ASSIGN)
        self._download = Envelope(celery, DOWNLOAD)
        self._wanted: dict[Envelope, str | None] = {}  # wakes that were not sent yet, and on whose behalf
        self._commands = commands

    def assign(self) -> None:
        """Somebody waits, or somebody is free: look who can be given to whom."""
        if not self._wake(self._assign):
            time.sleep(0)  # under gevent it is sent now, and what else the client's answer takes comes after it

    def download(self) -> None:
        """Pictures are to be fetched: look whose."""
        self._wake(self._download)

    def _wake(self, envelope: Envelope) -> bool:
        """True where it is sent already."""
        self._wanted[envelope] = told = correlation_id.get()
        try:
            if self._alone() and self._commands.answered:
                self._send()
                return True
        except redis.RedisError:
            self._wanted[envelope] = told
        self._background.soon("wakes", self._send)
        return False

    def _send(self) -> None:
        queues, texts = [], []
        while self._wanted:  # one after the other: others may put wakes there meanwhile
            envelope, told = self._wanted.popitem()
            queues.append(envelope.queue)
            texts.append(envelope.text(told))
        self._commands.tell("EVAL", UNLESS_ENOUGH, len(queues), *queues, ENOUGH, *texts)
