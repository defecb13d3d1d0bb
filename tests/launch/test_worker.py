"""Workers as `python -m worker` starts them."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from app import logs
from app.adapters.background import BackgroundRunner
from app.adapters.celery_app import make_celery
from app.adapters.redis_clients import redis_client
from app.adapters.tasks import CeleryTasks
from app.config import Settings
from tests.support.processes import StartedProcess, started
from tests.support.redis import running_redis
from tests.support.service import ROOT
from tests.support.waiting import until
from worker.__main__ import dispatcher

# The worker's own application, where the first hand-off never ends and later ones note their correlation id.
HANGS_ONCE = """
import threading
from pathlib import Path

from app import logs
from app.services.dispatch import Dispatch
from celery_config import celery
from worker import dispatch

here = Path(__file__).parent


def assign_waiting(_):
    if not (here / "hangs").exists():
        (here / "hangs").touch()
        threading.Event().wait()
    (here / "done").write_text(logs.correlation_id() or "none")


Dispatch.assign_waiting = assign_waiting
dispatch.assign.time_limit = 5  # the first task also builds the services
"""


# The same, but every assignment waits until it may end.
WAITS = """
import time
from pathlib import Path

from celery.signals import worker_shutting_down

from app.services.dispatch import Dispatch
from celery_config import celery

here = Path(__file__).parent


@worker_shutting_down.connect
def note_stop(**_):
    (here / "stopping").touch()


def assign_waiting(_):
    (here / "begun").touch()
    while not (here / "may_end").exists():
        time.sleep(0.01)
    (here / "done").touch()


Dispatch.assign_waiting = assign_waiting
"""


@contextmanager
def dispatching(folder: Path, redis_url: str, application: str) -> Iterator[StartedProcess]:
    """A dispatcher of one process that runs this application."""
    (folder / "replaced.py").write_text(application)
    replaced = {"celery_config": "replaced", "--concurrency=2": "--concurrency=1"}
    command = [replaced.get(word, word) for word in dispatcher("info").argv]
    env = {
        "REDIS_URL": redis_url,
        "DATABASE_URL": f"sqlite:///{folder / 'a.db'}",
        "IMAGE_STORAGE_PATH": str(folder),
        "PYTHONPATH": os.pathsep.join([str(folder), str(ROOT)]),
    }
    with started(command, ROOT, env) as worker:
        worker.wait_for_output(" ready.")
        yield worker


@contextmanager
def sending(redis_url: str) -> Iterator[CeleryTasks]:
    settings = Settings.from_env({"REDIS_URL": redis_url})
    background = BackgroundRunner("test")
    yield CeleryTasks(make_celery(settings), redis_client(redis_url), background, settings.sweep_interval_ms)
    background.close()


def test_an_assignment_that_exceeds_its_time_limit_is_ended_and_the_next_one_runs(tmp_path: Path) -> None:
    with (
        running_redis(tmp_path) as server,
        dispatching(tmp_path, server.url, HANGS_ONCE) as worker,
        sending(server.url) as tasks,
    ):
        tasks.assign()
        until((tmp_path / "hangs").exists, 60, "the first hand-off to start")
        with logs.correlated("correlation-1"):
            tasks.assign()
        until((tmp_path / "done").exists, 60, f"the second hand-off; the worker said: {worker.output}")
        assert until((tmp_path / "done").read_text) == "correlation-1"


def test_a_stopped_worker_finishes_its_task_and_ends_right_after_it(tmp_path: Path) -> None:
    with (
        running_redis(tmp_path) as server,
        dispatching(tmp_path, server.url, WAITS) as worker,
        sending(server.url) as tasks,
    ):
        tasks.assign()
        until((tmp_path / "begun").exists, 60, "the hand-off to start")
        worker.send(signal.SIGTERM)
        until((tmp_path / "stopping").exists, 60, "the worker to notice the signal")
        assert not (tmp_path / "done").exists()
        (tmp_path / "may_end").touch()
        assert worker.wait_for_exit(timeout_s=15) == 0
        assert (tmp_path / "done").exists()
        assert "shutdown" not in worker.output
        assert "Ctrl+C" not in worker.output


def test_a_bad_setting_is_one_line_and_status_2(tmp_path: Path) -> None:
    env = {**os.environ, "PORT": "abc"}
    for command in (["-m", "worker"], ["-m", "celery", "-A", "celery_config", "beat"]):
        done = subprocess.run(
            [sys.executable, *command], check=False, cwd=ROOT, env=env, capture_output=True, text=True, timeout=60
        )
        assert (done.returncode, done.stdout) == (2, "")
        assert done.stderr.startswith("PORT=")
        assert done.stderr.count("\n") == 1


LOOKED_THROUGH = "; import gc; print(gc.get_freeze_count() > 10 * len(gc.get_objects()))"
FIRST_TASK = "from worker.services import services; services()"
BEGINNING_TO_SERVE = "import wsgi, runpy; runpy.run_path('gunicorn.conf.py')['post_worker_init'](None)"


@pytest.mark.parametrize("program", [FIRST_TASK, BEGINNING_TO_SERVE])
def test_objects_loaded_at_the_start_are_frozen_for_the_garbage_collector(program: str, tmp_path: Path) -> None:
    env = {**os.environ, "DATABASE_URL": f"sqlite:///{tmp_path / 'a.db'}", "IMAGE_STORAGE_PATH": str(tmp_path)}
    command = [sys.executable, "-c", program + LOOKED_THROUGH]
    done = subprocess.run(command, check=False, cwd=ROOT, env=env, capture_output=True, text=True, timeout=60)
    assert (done.stdout, done.returncode) == ("True\n", 0), done.stderr
