"""`make run` as a whole: the real Procfile, started in a folder of its own, from the first request to Ctrl-C."""

from __future__ import annotations

import argparse
import io
import json
import os
import shlex
import signal
import subprocess
import sys
import urllib.request
from contextlib import closing, suppress
from pathlib import Path
from typing import Any

import pytest
from PIL import Image

from app.adapters.local_redis import PROGRAMS
from app.db import jobs
from app.db.engine import Database
from app.launch.procfile import read_procfile
from tests.support.fake_programs import ROOT, Start
from tests.support.ports import free_ports
from tests.support.postgres import PostgresServer
from tests.support.processes import StartedProcess
from tests.support.waiting import until
from worker.__main__ import CELERY_WORKERS

START_S = 60.0
FINAL = {"completed", "failed", "cancelled"}
RUN = "import os, sys; os.execvp(sys.argv[1], sys.argv[1:])"


@pytest.fixture
def services(services: Path) -> Path:
    """A folder with the files of a checkout that the launcher needs."""
    for name in ("Procfile", "celery_config.py", "gunicorn.conf.py", "wsgi.py"):
        (services / name).symlink_to(ROOT / name)
    return services


def launch(start: Start, ports: list[int], **env: str) -> StartedProcess:
    run = start("-m", "app.launch", PORT=str(ports[0]), WS_PORT=str(ports[1]), **env)
    run.wait_for_output("Ctrl-C stops everything.", START_S)
    return run


def healthy(port: int) -> bool:
    with suppress(OSError), urllib.request.urlopen(f"http://127.0.0.1:{port}/health", timeout=10) as answer:
        return bool(answer.status == 200)
    return False


def stop(run: StartedProcess) -> None:
    run.send(signal.SIGINT)
    assert run.wait_for_exit(START_S) == 0
    run.wait_until_all_ended()


def suggestions(run: StartedProcess) -> list[list[str]]:
    """The commands that the launcher suggests."""
    return [shlex.split(line) for line in run.output.splitlines() if line.startswith("  curl ")]


def answer_to(command: list[str]) -> Any:
    """Send the request of a curl command without curl, which may not be installed."""
    curl = argparse.ArgumentParser()
    curl.add_argument("url")
    curl.add_argument("-s", action="store_true")
    curl.add_argument("-H", dest="headers", action="append", default=[])
    curl.add_argument("-d", dest="data", type=str.encode)
    options = curl.parse_args(command[1:])
    headers = dict(header.split(": ") for header in options.headers)
    with urllib.request.urlopen(urllib.request.Request(options.url, options.data, headers), timeout=30) as answer:
        return json.load(answer)


def final(run: StartedProcess, command: list[str], request_id: str) -> Any:
    command = [part.replace("REQUEST_ID", request_id) for part in command]

    def ended() -> Any:
        answer = answer_to(command)
        return answer if answer["status"] in FINAL else None

    try:
        return until(ended, START_S, f"{request_id} to end")
    except AssertionError as problem:
        raise AssertionError(f"{problem}\nThe service said:\n{run.output}") from None


def lasting(result: Any) -> Any:
    """What an answer says at any time: signed addresses are made anew from time to time."""
    images = [{name: value for name, value in image.items() if name != "signedUrl"} for image in result["images"]]
    return {**result, "timestamp": None, "images": images}


def test_the_suggested_commands_give_a_picture_and_the_next_start_finds_it(start: Start, services: Path) -> None:
    ports = free_ports(2)
    run = launch(start, ports)
    ask, look = suggestions(run)
    result = final(run, look, answer_to(ask)["requestId"])
    assert result["status"] == "completed", run.output
    [picture] = (services / "generated-images").glob("*.png")
    assert result["imagePath"] == f"/generated-images/{picture.name}"
    assert Image.open(io.BytesIO(picture.read_bytes())).format == "PNG"
    stop(run)
    again = launch(start, ports)
    found = final(again, look, result["requestId"])
    assert lasting(found) == lasting(result)
    stop(again)


def test_the_suggested_commands_work_where_credentials_are_required(start: Start, services: Path) -> None:
    (services / ".venv").symlink_to(sys.prefix)
    run = launch(start, free_ports(2), AUTH_MODE="required")
    token, extension, pairing, user, key = [
        line for line in run.output.splitlines() if "app.manage" in line or "-m imagefleet" in line
    ]
    connected = start("-c", RUN, "bash", "-c", f"{token}\n{extension}")
    connected.wait_for_output("connected to", START_S)
    script = f"set -e\n{pairing}\n{user}\n{key}\necho $KEY"
    made = subprocess.run(["bash", "-c", script], cwd=services, check=True, capture_output=True, text=True).stdout
    code, _, secret = made.splitlines()
    assert code.startswith("imagefleet:")
    ask, look = ([part.replace("$KEY", secret) for part in command] for command in suggestions(run))
    assert final(run, look, answer_to(ask)["requestId"])["status"] == "completed", run.output
    stop(run)


def test_an_external_database_and_redis_are_used(
    start: Start, services: Path, postgres: PostgresServer, redis_url: str
) -> None:
    database_url = postgres.create()
    run = launch(start, free_ports(2), DATABASE_URL=database_url, REDIS_URL=redis_url)
    ask, look = suggestions(run)
    request_id = answer_to(ask)["requestId"]
    assert final(run, look, request_id)["status"] == "completed", run.output
    assert not any(process.name() in PROGRAMS for process in run.family())
    assert [each.name for each in (services / "data").iterdir()] == ["metrics"]  # no database, and no Redis
    with closing(Database(database_url)) as database:
        assert database.read(lambda c: jobs.find(c, request_id)) is not None
    stop(run)


def test_a_killed_launcher_leaves_no_processes_of_the_service(start: Start) -> None:
    run = launch(start, free_ports(2))
    ask, look = suggestions(run)
    assert final(run, look, answer_to(ask)["requestId"])["status"] == "completed", run.output
    # the launcher, Redis, the worker's supervisor, 2 Celery workers with 2 dispatchers and a decoder with the 2 processes
    # that multiprocessing starts for it, web and its child, beat
    until(lambda: len(run.family()) >= 13, START_S, "everything to run")
    run.process.kill()
    run.wait_until_all_ended()


def test_any_runner_of_procfiles_may_start_all_three_at_once_with_port_alone(
    start: Start, services: Path, redis_url: str
) -> None:
    [port] = free_ports(1)
    env = {"PORT": str(port), "REDIS_URL": redis_url, "PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}"}
    runs = {name: start("-c", RUN, *words, **env) for name, words in read_procfile(services / "Procfile").items()}
    until(lambda: healthy(port), START_S, f"the web to answer; it said: {runs['web'].output}")
    until(lambda: runs["worker"].output.count(" ready.") == CELERY_WORKERS, START_S, "all workers to be ready")
    info = json.loads(urllib.request.urlopen(f"http://127.0.0.1:{port}/api/websocket/info", timeout=10).read())
    assert info["url"] == f"ws://127.0.0.1:{port}/ws"
    for run in runs.values():
        run.send(signal.SIGTERM)
    assert {name: run.wait_for_exit(START_S) for name, run in runs.items()} == {"worker": 0, "web": 0, "beat": 0}
    assert "Traceback" not in "".join(run.output for run in runs.values())
