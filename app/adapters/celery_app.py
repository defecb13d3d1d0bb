"""The Celery application: queues, routes, time limits, and how it reaches Redis.

A message is only a hint that there is work; the database knows what the work is. With these settings no fault that was
tried (Redis killed, frozen, cut off; workers killed, frozen) stopped a worker for good.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any
from urllib.parse import parse_qs, urlsplit

from celery import Celery

from app.config import Settings
from app.sentinels import Sentinels

DISPATCH = "dispatch"
HOUSEKEEPING = "housekeeping"
DOWNLOAD = "download"
MAX_IMAGES = 10  # of one request: each may take the whole DOWNLOAD_TIMEOUT_MS
VALIDATION_S = 10  # and this long to be decoded and packed
TIDY_S = 60.0
SHORT_S = 120  # time limit of a hand-off or a sweep: one that hangs must not delay the others for long
# Without socket_timeout, a connection that was cut off silently is waited on for ever.
TIMEOUTS = {"socket_timeout": 5, "socket_connect_timeout": 2}


def make_celery(settings: Settings) -> Celery:
    """The application for these settings. Tasks are sent by name; only workers import them."""
    longest_task_s = MAX_IMAGES * (settings.download_timeout_ms // 1000 + VALIDATION_S) + 60
    app = Celery("imagefleet", broker=broker_url(settings.redis_url))
    app.conf.update(
        include=["worker.signals", "worker.dispatch", "worker.download", "worker.housekeeping"],
        # A slow image host holds up downloads, never the hand-off of requests.
        task_default_queue=DISPATCH,
        task_routes={"dispatch.*": DISPATCH, "housekeeping.*": HOUSEKEEPING, "download.*": DOWNLOAD},
        # JSON alone: a message can name a task and an id, and nothing that is executed.
        task_serializer="json",
        accept_content=["json"],
        task_ignore_result=True,
        timezone="UTC",
        # A message comes back where a process of a pool died with it. Where the whole worker died it is lost, and the next
        # sweep sends another: that is sooner than Redis would deliver it again, and costs no round trips for each task.
        task_acks_late=True,
        task_reject_on_worker_lost=True,
        worker_prefetch_multiplier=1,
        task_time_limit=longest_task_s,
        worker_soft_shutdown_timeout=20,
        worker_cancel_long_running_tasks_on_connection_loss=False,
        # With remote control on, a Redis killed while a task runs ends the worker.
        worker_enable_remote_control=False,
        worker_send_task_events=False,
        # Retry for ever: Redis may be away for as long as it likes.
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
        # In memory: a schedule of two entries needs no file that can be lost, broken or locked by another beat.
        beat_scheduler="celery.beat:Scheduler",
        beat_schedule={
            # Ticks do not expire, since clocks differ; of those that piled up, all but one find that a sweep has just run.
            "sweep": {"task": "housekeeping.sweep", "schedule": settings.sweep_interval_ms / 1000},
            "tidy": {"task": "housekeeping.tidy", "schedule": TIDY_S},
        },
    )
    return app


def broker_url(redis_url: str) -> str:
    """REDIS_URL in Celery's spelling, which differs for unix sockets and sentinels. Over TLS, Celery checks no certificate
    unless the URL says so."""
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
    """The transport options that Celery needs besides the URL of sentinels; none for other URLs."""
    if sentinels := Sentinels.parse(redis_url):
        return {"master_name": sentinels.master, "sentinel_kwargs": {**timeouts, **sentinels.credentials}}
    return {}
