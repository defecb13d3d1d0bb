"""The Celery application: `celery -A celery_config …`. `python -m worker` runs its workers, the Procfile its beat.

A message is only a hint that something is to be done; what is to be done stands in the database. The settings are those
under which no fault tried so far (Redis killed, frozen, cut off; workers killed, frozen) stopped a worker for good.
"""

from __future__ import annotations

import logging
import os
import signal
import sys
from collections.abc import Mapping
from typing import Any
from urllib.parse import parse_qs, urlsplit

from celery import Celery
from celery.signals import beat_init, setup_logging

from app import logs
from app.config import BadSetting, Settings
from app.sentinels import Sentinels

DISPATCH = "dispatch"
HOUSEKEEPING = "housekeeping"
DOWNLOAD = "download"
MOST_IMAGES = 10  # of one request: each may take the whole DOWNLOAD_TIMEOUT_MS
JUDGING_S = 10  # and to be decoded and packed
TIDY_S = 60.0
SHORT_S = (
    120  # what a task of the other queues may take at most: a hand-off or a sweep that does not end holds up others
)
# Without socket_timeout a connection that was cut off silently is waited on for ever.
PATIENCE = {"socket_timeout": 5, "socket_connect_timeout": 2}
CHATTY = ("celery.app.trace", "celery.beat", "celery.worker.strategy")  # several lines a task, and a tick is a task


def broker_url(redis_url: str) -> str:
    """REDIS_URL in the broker library's spelling, which differs for unix sockets and sentinels; and over TLS it asks for
    no certificate unless it is told to."""
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


def sentinel_options(redis_url: str, patience: Mapping[str, float]) -> dict[str, Any]:
    """What the broker library wants to know beside the URL of sentinels; nothing for other URLs."""
    if sentinels := Sentinels.parse(redis_url):
        return {"master_name": sentinels.master, "sentinel_kwargs": {**patience, **sentinels.credentials}}
    return {}


def configured(settings: Settings) -> Celery:
    """The application for these settings."""
    longest_task_s = MOST_IMAGES * (settings.download_timeout_ms // 1000 + JUDGING_S) + 60
    sweep_s = settings.sweep_interval_ms / 1000
    app = Celery("imagefleet", broker=broker_url(settings.redis_url))
    app.conf.update(
        include=["worker.pool", "worker.dispatch", "worker.download", "worker.housekeeping"],
        # What goes where: a slow image host holds up downloads, never the hand-off of requests; and what waits for
        # dispatch is nothing but wakes, of which one is as good as many.
        task_default_queue=DISPATCH,
        task_routes={"dispatch.*": DISPATCH, "housekeeping.*": HOUSEKEEPING, "download.*": DOWNLOAD},
        # JSON alone: a message can name a task and an id, and nothing that is executed.
        task_serializer="json",
        accept_content=["json"],
        task_ignore_result=True,
        timezone="UTC",
        # A message comes back where a process of a pool died with it. Where the whole worker died it is lost: to have Redis
        # keep what is in hand takes two ways there a task, and the next sweep is sooner than the end of any patience.
        task_acks_late=True,
        task_reject_on_worker_lost=True,
        worker_prefetch_multiplier=1,
        task_time_limit=longest_task_s,
        worker_soft_shutdown_timeout=20,
        worker_cancel_long_running_tasks_on_connection_loss=False,
        # With remote control on, a Redis killed while a task runs ends the worker.
        worker_enable_remote_control=False,
        worker_send_task_events=False,
        # Try for ever: Redis may be away for as long as it likes.
        broker_connection_retry_on_startup=True,
        broker_connection_max_retries=None,
        broker_transport_options={
            "ack_emulation": False,
            **PATIENCE,
            "socket_keepalive": True,
            "health_check_interval": 5,
            **sentinel_options(settings.redis_url, PATIENCE),
        },
        worker_redirect_stdouts=False,
        # In memory: a schedule of one entry needs no file that can be lost, broken or held by another beat.
        beat_scheduler="celery.beat:Scheduler",
        beat_schedule={
            # Ticks do not expire, since clocks differ; those that piled up find that a sweep has just run.
            "sweep": {"task": "housekeeping.sweep", "schedule": sweep_s},
            "tidy": {"task": "housekeeping.tidy", "schedule": TIDY_S},
        },
    )
    return app


@setup_logging.connect
def _log_as_the_application_does(loglevel: int, **_: object) -> None:
    """Workers and beat log as the web does; `loglevel` is that of their command line."""
    logs.configure(logging.getLevelName(loglevel))
    for name in CHATTY:
        logging.getLogger(name).setLevel(loglevel if loglevel <= logging.DEBUG else logging.WARNING)


@beat_init.connect
def _let_beat_end_at_once(**_: object) -> None:
    """Celery raises SystemExit wherever beat happens to be, and inside a Redis command it is lost: beat went on for ever.

    There is nothing to be saved: the schedule is in memory, and a tick that was not sent is made up for by the next beat.
    """
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: os._exit(0))


try:
    celery = configured(Settings.from_env())
except BadSetting as problem:
    sys.exit(str(problem))
