"""Wakes workers by sending Celery tasks by name. A task carries no state and may be lost."""

from __future__ import annotations

from collections.abc import Mapping
from functools import partial

import redis
from celery import Celery

from app import logs
from app.adapters import worker_heartbeats
from app.adapters.background import BackgroundRunner
from app.adapters.celery_app import QUEUES
from app.domain.errors import Unavailable

ASSIGN = "dispatch.assign"
DOWNLOAD = "download.run"
REUSE = "download.reuse"
DELIVER = "webhooks.deliver"
CORRELATION_HEADER = "imagefleet_correlation_id"  # Celery itself calls a task's id `correlation_id`
KEY_PREFIX = "imagefleet:wake-up:"
# A pooled connection may be dead after a restart of Redis.
RETRY_ONCE = {"max_retries": 1, "interval_start": 0, "interval_step": 0, "interval_max": 0}

log = logs.get(__name__)


class CeleryTasks:
    """Sends tasks in the background and never fails or delays the caller; sweeps make up for tasks that were not sent.

    A task reads everything committed before it starts, so a second one is not sent while one is waiting: a key in Redis
    marks it. The task deletes the key before it reads. If the task is lost, the key expires after `coalesce_ms`, which
    must not be longer than the interval between sweeps.
    """

    def __init__(self, celery: Celery, client: redis.Redis, background: BackgroundRunner, coalesce_ms: int) -> None:
        self._celery = celery
        self._client = client
        self._background = background
        self._coalesce_ms = coalesce_ms

    def assign(self) -> None:
        """Wake a dispatcher, because a job is waiting or an extension is free."""
        self._wake(ASSIGN)

    def download(self) -> None:
        """Wake a downloader, because downloads are due."""
        self._wake(DOWNLOAD)

    def reuse(self) -> None:
        """Wake a worker, because a request that others follow has ended."""
        self._wake(REUSE)

    def deliver(self) -> None:
        """Wake a worker that sends to webhooks, because deliveries are due."""
        self._wake(DELIVER)

    def started(self, task: str) -> None:
        """Note that this task starts to read: what is committed from now on needs another task."""
        try:
            self._client.delete(KEY_PREFIX + task)
        except redis.RedisError as problem:  # then the key expires
            log.warning("A wake-up could not be cleared", action="wake_up.kept", problem=str(problem))

    def workers(self) -> Mapping[str, str | None]:
        """For each queue of tasks a worker that takes from it; None if there is none. Raises Unavailable."""
        try:
            return worker_heartbeats.workers_of(self._client, QUEUES)
        except redis.RedisError as problem:
            raise Unavailable(str(problem)) from problem

    def _wake(self, task: str) -> None:
        headers = {CORRELATION_HEADER: logs.correlation_id()}
        self._background.submit(task, partial(self._send, task, headers))

    def _send(self, task: str, headers: dict[str, str | None]) -> None:
        key = KEY_PREFIX + task
        if not self._mark(key):
            return
        try:
            self._celery.send_task(task, headers=headers, retry=True, retry_policy=RETRY_ONCE)
        except Exception:
            self._client.delete(key)
            raise

    def _mark(self, key: str) -> bool:
        """Note that a task is on its way; False if one is already."""
        with self._client.pipeline(transaction=False) as pipeline:
            pipeline.set(key, "1", nx=True, px=self._coalesce_ms)
            pipeline.pttl(key)
            marked, expires_ms = pipeline.execute()
        if marked or expires_ms <= self._coalesce_ms:
            return bool(marked)
        self._client.set(key, "1", px=self._coalesce_ms)  # Redis's clock was set back: the mark would stay for as long
        return True
