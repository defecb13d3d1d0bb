"""The Celery application: queues, routes, time limits and the connection to Redis.

A message only announces work; the work itself is in the database. With these settings, workers recovered from every fault
that was tested: Redis killed, frozen and cut off, and workers killed and frozen.
"""

import time
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any
from urllib.parse import parse_qs, urlsplit

from celery import Celery
from celery.schedules import schedule

from app.config import Settings
from app.sentinels import Sentinels

DISPATCH = "dispatch"
HOUSEKEEPING = "housekeeping"
DOWNLOAD = "download"
WEBHOOKS = "webhooks"
QUEUES = (DISPATCH, HOUSEKEEPING, DOWNLOAD, WEBHOOKS)
CLEANUP_INTERVAL_S = 60.0
TASK_LIMIT_S = 120  # of a hand-off or a sweep, so that one that hangs does not delay the others for long
# Without socket_timeout, a read from a connection that was cut off silently would never end.
TIMEOUTS = {"socket_timeout": 5, "socket_connect_timeout": 2}


def make_celery(settings: Settings) -> Celery:
    """Create the application for these settings. Tasks are sent by name; only workers import them."""
    app = Celery("imagefleet", broker=broker_url(settings.redis_url))
    app.conf.update(
        include=["worker.signals", "worker.dispatch", "worker.download", "worker.housekeeping", "worker.webhooks"],
        # Queues for downloads and webhooks, so that slow hosts never delay the hand-off of requests, nor each other.
        task_default_queue=DISPATCH,
        task_routes={
            "dispatch.*": DISPATCH,
            "housekeeping.*": HOUSEKEEPING,
            "download.*": DOWNLOAD,
            "webhooks.*": WEBHOOKS,
        },
        # JSON only: a message must not be able to carry code.
        task_serializer="json",
        accept_content=["json"],
        task_ignore_result=True,
        timezone="UTC",
        # A message is delivered again if the pool process that had it died. If the whole worker died, it is lost and the
        # next sweep sends another. That is sooner than a redelivery by Redis and saves round trips for each task.
        task_acks_late=True,
        task_reject_on_worker_lost=True,
        worker_prefetch_multiplier=1,
        task_time_limit=TASK_LIMIT_S,  # not for downloads and webhooks: a pool of threads has no time limits
        worker_cancel_long_running_tasks_on_connection_loss=False,
        # With remote control, a worker exits when Redis is killed while a task runs.
        worker_enable_remote_control=False,
        worker_send_task_events=False,
        # Retry without limit, however long Redis is unavailable.
        broker_connection_retry_on_startup=True,
        broker_connection_max_retries=None,
        broker_transport_options={
            "ack_emulation": False,
            **TIMEOUTS,
            "socket_keepalive": True,
            "health_check_interval": 5,
            **sentinel_options(settings.redis_url, TIMEOUTS),
        },
        worker_redirect_stdouts=False,
        # In memory: a schedule of two entries needs no file, which could be lost, corrupted or locked by another beat.
        beat_scheduler="celery.beat:Scheduler",
        beat_schedule={
            # Ticks do not expire, since clocks differ. When several have piled up, all but the first find nothing due.
            "sweep": {"task": "housekeeping.sweep", "schedule": every(settings.sweep_interval_ms / 1000)},
            "tidy": {"task": "housekeeping.tidy", "schedule": every(CLEANUP_INTERVAL_S)},
        },
    )
    return app


def every(interval_s: float) -> schedule:
    """A schedule by the monotonic clock: by the wall clock, beat would send nothing for as long as that was set back."""
    return schedule(interval_s, nowfun=lambda: datetime.fromtimestamp(time.monotonic(), UTC))


def broker_url(redis_url: str) -> str:
    """Convert REDIS_URL to Celery's notation, which differs for unix sockets and sentinels.

    Over TLS, Celery checks certificates only if the URL requires it.
    """
    if sentinels := Sentinels.parse(redis_url):
        return sentinels.broker_url
    parts = urlsplit(redis_url)
    query = parse_qs(parts.query)
    if parts.scheme == "rediss" and "ssl_cert_reqs" not in query:
        return f"{redis_url}{'&' if parts.query else '?'}ssl_cert_reqs=required"
    if parts.scheme != "unix":
        return redis_url
    database = query.get("db", ["0"])[0]
    return f"redis+socket://{parts.netloc}{parts.path}?virtual_host={database}"


def sentinel_options(redis_url: str, timeouts: Mapping[str, float]) -> dict[str, Any]:
    """The transport options that Celery needs in addition to the URL of sentinels; none for other URLs."""
    if sentinels := Sentinels.parse(redis_url):
        return {"master_name": sentinels.master, "sentinel_kwargs": {**timeouts, **sentinels.credentials}}
    return {}
