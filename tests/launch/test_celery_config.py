"""The Celery application and its workers."""

from __future__ import annotations

from types import SimpleNamespace

import pytest
from celery.beat import ScheduleEntry, Scheduler

from app.adapters import celery_app
from app.adapters.celery_app import DISPATCH, DOWNLOAD, HOUSEKEEPING, TASK_LIMIT_S, broker_url, make_celery
from app.config import Settings
from worker.__main__ import dispatcher, downloader


@pytest.mark.parametrize(
    ("redis_url", "broker"),
    [
        ("redis://:pw@host:6379/3", "redis://:pw@host:6379/3"),
        ("rediss://host/0", "rediss://host/0?ssl_cert_reqs=required"),
        ("rediss://host/0?ssl_ca_certs=/ca.pem", "rediss://host/0?ssl_ca_certs=/ca.pem&ssl_cert_reqs=required"),
        ("rediss://host/0?ssl_cert_reqs=none", "rediss://host/0?ssl_cert_reqs=none"),
        ("unix:///run/redis.sock?db=2", "redis+socket:///run/redis.sock?virtual_host=2"),
        ("unix:///run/redis.sock", "redis+socket:///run/redis.sock?virtual_host=0"),
    ],
)
def test_redis_urls_are_converted_for_the_broker_library(redis_url: str, broker: str) -> None:
    assert broker_url(redis_url) == broker


def test_downloads_have_a_queue_of_their_own() -> None:
    routes = make_celery(Settings.from_env({})).amqp.router
    queues = {
        name: routes.route({}, name)["queue"].name for name in ("dispatch.assign", "housekeeping.sweep", "download.run")
    }
    assert queues == {"dispatch.assign": DISPATCH, "housekeeping.sweep": HOUSEKEEPING, "download.run": DOWNLOAD}


def test_redis_does_not_keep_the_message_of_a_running_task() -> None:
    with make_celery(Settings.from_env({})).connection_for_read() as connection:
        assert connection.transport_options["ack_emulation"] is False


def test_the_sweep_runs_at_the_configured_interval_whatever_the_clocks_say() -> None:
    sweep = make_celery(Settings.from_env({"SWEEP_INTERVAL_MS": "500"})).conf.beat_schedule["sweep"]
    assert (sweep["task"], sweep["schedule"].seconds) == ("housekeeping.sweep", 0.5)


def test_hand_offs_and_sweeps_run_in_processes_that_a_time_limit_ends() -> None:
    assert "--pool=prefork" in dispatcher("info").argv
    assert make_celery(Settings.from_env({})).conf.task_time_limit == TASK_LIMIT_S


def test_many_downloads_wait_for_the_network_at_the_same_time() -> None:
    assert {"--pool=threads", "--concurrency=32"} <= set(downloader(32, "info").argv)


class Recorder(Scheduler):
    """Beat's scheduler, which notes what it would send."""

    producer = None  # type: ignore[assignment]

    def setup_schedule(self) -> None:
        self.sent: list[str] = []
        super().setup_schedule()

    def apply_async(self, entry: ScheduleEntry, *_: object, **__: object) -> None:
        self.sent.append(str(entry.name))


def test_beat_ticks_by_the_monotonic_clock_since_the_other_one_can_be_set_back(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    seconds = 0
    monkeypatch.setattr(celery_app, "time", SimpleNamespace(monotonic=lambda: 1_000.0 + seconds))
    scheduler = Recorder(make_celery(Settings.from_env({})))
    for seconds in range(0, 130, 2):  # noqa: B007 - the clock
        while scheduler.tick() == 0:
            pass
    assert (scheduler.sent.count("sweep"), scheduler.sent.count("tidy")) == (64, 2)
