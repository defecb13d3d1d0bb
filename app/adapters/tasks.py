"""Waking workers through Celery's queues. Tasks are sent by name; a message is a hint and carries no state."""

from __future__ import annotations

from celery import Celery

from app.adapters.background import Background
from app.adapters.commands import Commands, Script
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
    """Sends soon and never fails: the sweeps find what was not sent.

    Wakes do not pile up while no worker takes them, and none goes stale by a clock: clocks differ.
    """

    def __init__(self, celery: Celery, background: Background, commands: Commands) -> None:
        self._background = background
        self._assign = Envelope(celery, ASSIGN)
        self._download = Envelope(celery, DOWNLOAD)
        self._unless_enough = Script(commands, UNLESS_ENOUGH)

    def assign(self) -> None:
        """Somebody waits, or somebody is free: look who can be given to whom."""
        self._wake(ASSIGN, self._assign)

    def download(self) -> None:
        """Pictures are to be fetched: look whose."""
        self._wake(DOWNLOAD, self._download)

    def _wake(self, task: str, envelope: Envelope) -> None:
        told = {CORRELATION_HEADER: correlation_id.get()}

        def send() -> None:
            self._unless_enough([envelope.queue], [ENOUGH, envelope.text(told)])

        self._background.soon(task, send)
