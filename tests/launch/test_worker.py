"""What a Celery worker that has no pool does about a task that does not end."""

from __future__ import annotations

import signal
import subprocess
import sys

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
