"""Wakes workers by sending Celery tasks by name. A task is a hint: it carries no state, and may be lost."""

from __future__ import annotations

from functools import partial

import redis
from celery import Celery

from app import logs
from app.adapters.background import BackgroundRunner

ASSIGN = "dispatch.assign"
DOWNLOAD = "download.run"
CORRELATION_HEADER = "imagefleet_correlation_id"  # Celery itself calls a task's id `correlation_id`
KEY_PREFIX = "imagefleet:wake-up:"
# A pooled connection may be dead: Redis was restarted.
RETRY_ONCE = {"max_retries": 1, "interval_start": 0, "interval_step": 0, "interval_max": 0}

log = logs.get(__name__)


class CeleryTasks:
    """Sends tasks in the background, and never fails or delays the caller: the sweep finds what was not sent.

    A task that has not started yet will read everything that is committed by then, so it need not be sent twice: a key in
    Redis says that one is on its way. The task deletes the key before it reads. Where the task is lost, the key expires
    after `coalesce_ms`, which is to be no longer than the interval between sweeps.
    """

    def __init__(self, celery: Celery, client: redis.Redis, background: BackgroundRunner, coalesce_ms: int) -> None:
        self._celery = celery
        self._client = client
        self._background = background
        self._coalesce_ms = coalesce_ms

    def assign(self) -> None:
        """A job waits, or an extension is free: have a dispatcher match them."""
        self._wake(ASSIGN)

    def download(self) -> None:
        """Pictures are due to be fetched."""
        self._wake(DOWNLOAD)

    def started(self, task: str) -> None:
        """The task of this name begins to read: what is committed from now on needs another one."""
        try:
            self._client.delete(KEY_PREFIX + task)
        except redis.RedisError as problem:  # then the key expires by itself
            log.warning("A wake-up could not be cleared", action="wake_up.kept", problem=str(problem))

    def _wake(self, task: str) -> None:
        headers = {CORRELATION_HEADER: logs.correlation_id()}
        self._background.submit(task, partial(self._send, task, headers))

    def _send(self, task: str, headers: dict[str, str | None]) -> None:
        key = KEY_PREFIX + task
        if not self._client.set(key, "1", nx=True, px=self._coalesce_ms):
            return
        try:
            self._celery.send_task(task, headers=headers, retry=True, retry_policy=RETRY_ONCE)
        except Exception:
            self._client.delete(key)
            raise
