"""What a Celery worker that has no pool does about a task that does not end."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from tests.support.service import ROOT

STUCK = """
import time
from types import SimpleNamespace
from worker import pool

task = SimpleNamespace(time_limit=0.2)
pool._begin_to_count(task)
pool._count_no_more()
time.sleep(0.5)
print("alive", flush=True)
pool._begin_to_count(task)
time.sleep(20)
"""


def test_a_task_that_takes_too_long_ends_the_worker_and_one_that_ended_does_not() -> None:
    command = [sys.executable, "-c", STUCK]
    done = subprocess.run(command, check=False, cwd=ROOT, capture_output=True, text=True, timeout=60)
    assert (done.stdout, done.returncode) == ("alive\n", -signal.SIGALRM)


LOOKED_THROUGH = "; import gc; print(gc.get_freeze_count() > 10 * len(gc.get_objects()))"
FIRST_TASK = "from worker.services import house; house()"
BEGINNING_TO_SERVE = "import wsgi, runpy; runpy.run_path('gunicorn.conf.py')['post_worker_init'](None)"


@pytest.mark.parametrize("program", [FIRST_TASK, BEGINNING_TO_SERVE])
def test_what_is_loaded_in_the_beginning_is_not_looked_through_for_garbage(program: str, tmp_path: Path) -> None:
    env = {**os.environ, "DATABASE_URL": f"sqlite:///{tmp_path / 'a.db'}", "IMAGE_STORAGE_PATH": str(tmp_path)}
    command = [sys.executable, "-c", program + LOOKED_THROUGH]
    done = subprocess.run(command, check=False, cwd=ROOT, env=env, capture_output=True, text=True, timeout=60)
    assert (done.stdout, done.returncode) == ("True\n", 0), done.stderr
