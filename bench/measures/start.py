"""How long `make run` takes to the first picture, and `imagefleet --help` to its output."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from contextlib import ExitStack, suppress
from pathlib import Path

from bench.environment import child, floor_web, own_redis, scratch
from bench.measures.turns import Turn, in_turns, values
from bench.plan import Plan
from bench.results import Measure, Row
from tests.support.ports import free_ports
from tests.support.processes import started
from tests.support.service import ROOT, call
from tests.support.waiting import until

NEEDED = (
    ".venv",
    "Makefile",
    "Procfile",
    "app",
    "celery_config.py",
    "client",
    "gunicorn.conf.py",
    "migrations",
    "requirements.txt",
    "worker",
    "wsgi.py",
)
ORDER = {"prompt": "A futuristic cityscape at night", "parameters": {"width": 256, "height": 256}}

EXPLANATION = (
    "`make run` in a new folder where everything is installed, until it answers, and until the first picture that is "
    "requested then is stored; the reference extension draws it, deliberately slowly. The floor: a Redis, "
    "a small application under gunicorn and an idle Celery worker, one after the other. Help: against a Python that does "
    "nothing."
)


def measure(plan: Plan) -> Measure:
    """Both."""
    result = Measure("start", "Starting", EXPLANATION)
    with scratch() as folder:
        for name in NEEDED:
            (folder / name).symlink_to(ROOT / name)
        _run(folder)  # warm-up: creates the database and fills the disk cache
        subject, floor = in_turns(3, lambda: _run(folder), _floor)
    helping, nothing = in_turns(plan.repeats, _timed("-m", "imagefleet", "--help"), _timed("-c", "pass"))
    result.rows += [
        Row("make run until it answers", "s", values(subject, "answers"), values(floor, "answers")),
        Row("make run until the first picture", "s", values(subject, "picture")),
        Row("make run until all has ended again", "s", values(subject, "ended")),
        Row("imagefleet --help", "s", values(helping, "seconds"), values(nothing, "seconds")),
    ]
    return result


def _run(folder: Path) -> Turn:
    port, ws_port = free_ports(2)
    begun = time.perf_counter()
    env = {"PORT": str(port), "WS_PORT": str(ws_port)}
    with started(["make", "run"], folder, env) as run:
        base = f"http://127.0.0.1:{port}"
        until(lambda: _healthy(base), 90, "make run to answer")
        answers = time.perf_counter() - begun
        submitted = call("POST", f"{base}/api/images/generate", ORDER).json
        until(lambda: _status(base, submitted["requestId"]) == "completed", 90, "the first picture")
        picture = time.perf_counter() - begun
        stopping = time.perf_counter()
        run.send(signal.SIGTERM)
        run.wait_for_exit(60)
        run.wait_until_all_ended()
        return Turn({"answers": answers, "picture": picture, "ended": time.perf_counter() - stopping})


def _floor() -> Turn:
    begun = time.perf_counter()
    with ExitStack() as stack:
        folder = stack.enter_context(scratch())
        url, _ = stack.enter_context(own_redis())
        stack.enter_context(floor_web("sockets", FLOOR_REDIS_URL=url))
        command = [
            sys.executable,
            "-m",
            "celery",
            "-A",
            "bench.floors.tasks",
            "worker",
            "--loglevel=info",
            "--concurrency=2",
        ]
        log = stack.enter_context((folder / "worker.log").open("wb"))
        stack.enter_context(child(command, {"FLOOR_REDIS_URL": url}, stdout=log, stderr=log))
        until(lambda: " ready." in (folder / "worker.log").read_text(), 60, "the floor's worker to be ready")
        return Turn({"answers": time.perf_counter() - begun})


def _timed(*arguments: str) -> Callable[[], Turn]:
    def turn() -> Turn:
        begun = time.perf_counter()
        subprocess.run([sys.executable, *arguments], cwd=ROOT / "client", stdout=subprocess.DEVNULL, check=True)
        return Turn({"seconds": time.perf_counter() - begun})

    return turn


def _healthy(base: str) -> bool:
    with suppress(OSError):
        return call("GET", f"{base}/health").status == 200
    return False


def _status(base: str, request_id: str) -> str:
    return str(json.loads(call("GET", f"{base}/api/images/{request_id}?wait=5").content)["status"])
