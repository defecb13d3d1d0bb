"""The whole service as real processes: gunicorn, Celery workers, beat, on a real Redis and a real database."""

from __future__ import annotations

import json
import os
import signal
import ssl
import subprocess
import sys
import urllib.error
import urllib.request
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any

from app.db import jobs
from app.db.engine import Database
from app.db.jobs import Job
from app.launch.parent_death import end_with_parent
from tests.support.extension import Extension
from tests.support.ports import free_ports
from tests.support.processes import ends_within
from tests.support.waiting import until
from worker.__main__ import CELERY_WORKERS

ROOT = Path(__file__).resolve().parents[2]
PROGRAMS = Path(sys.executable).parent

# Short, so that tests need not wait for long, but long enough for two busy cores.
QUICK = {
    "OFFER_TIMEOUT_MS": "2000",
    "RECONNECT_GRACE_MS": "1500",
    "SWEEP_INTERVAL_MS": "500",
    "HUB_TIMEOUT_MS": "4000",
    "AUTHENTICATION_TIMEOUT_MS": "2000",
    "DOWNLOAD_TIMEOUT_MS": "5000",
    "MAX_DOWNLOAD_ATTEMPTS": "2",
    "WORKER_PROCESSES": "2",
    "LOG_LEVEL": "info",
    # The limits are counted as usual but are high: tests submit hundreds of requests from one address.
    "RATE_LIMIT_MAX_REQUESTS": "100000",
    "RATE_LIMIT_BURST": "100000",
    "RATE_LIMIT_GLOBAL": "1000000",
    "QUOTA_WAITING": "100000",
    "MAX_BAD_MESSAGES": "100",
    "MAX_AUTH_FAILURES": "100000",
}


# Accepts any certificate: certificates are checked by the tests of TLS.
ANY_CERTIFICATE = ssl.create_default_context()
ANY_CERTIFICATE.check_hostname, ANY_CERTIFICATE.verify_mode = False, ssl.CERT_NONE


@dataclass(frozen=True)
class Answer:
    """A response; header names are in lower case."""

    status: int
    headers: Mapping[str, str]
    content: bytes

    @property
    def json(self) -> Any:
        """The body as JSON."""
        return json.loads(self.content)


def call(method: str, url: str, body: object = None, headers: Mapping[str, str] | None = None) -> Answer:
    """Send an HTTP request; a body that is not bytes is sent as JSON."""
    data = body if isinstance(body, bytes) or body is None else json.dumps(body).encode()
    sent = {"Content-Type": "application/json"} if data is not None else {}
    request = urllib.request.Request(url, data, {**sent, **(headers or {})}, method=method)
    try:
        with urllib.request.urlopen(request, timeout=90, context=ANY_CERTIFICATE) as answer:
            return Answer(answer.status, {k.lower(): v for k, v in answer.headers.items()}, answer.read())
    except urllib.error.HTTPError as error:
        with error:
            return Answer(error.code, {k.lower(): v for k, v in error.headers.items()}, error.read())


@dataclass
class Service:
    """A running service. `ports` has one for each web process; each serves HTTP and sockets."""

    folder: Path
    ports: list[int]
    env: dict[str, str]
    processes: dict[str, subprocess.Popen[bytes]] = field(default_factory=dict)

    def url(self, path: str = "", web: int = 0) -> str:
        """A URL of one of the web processes."""
        scheme = "https" if "TLS_CERT" in self.env else "http"
        return f"{scheme}://127.0.0.1:{self.ports[web]}{path}"

    def get(self, path: str, web: int = 0, **headers: str) -> Answer:
        """Send a GET request; header names have _ for -."""
        return call("GET", self.url(path, web), None, {k.replace("_", "-"): v for k, v in headers.items()})

    def post(self, path: str, body: object, web: int = 0, **headers: str) -> Answer:
        """Send a POST request with JSON, or with bytes unchanged."""
        return call("POST", self.url(path, web), body, {k.replace("_", "-"): v for k, v in headers.items()})

    def delete(self, path: str, web: int = 0) -> Answer:
        """Send a DELETE request."""
        return call("DELETE", self.url(path, web))

    def submit(self, prompt: str = "a red fox", web: int = 0, **body: Any) -> str:
        """Submit a request; returns its ID."""
        answer = self.post("/api/images/generate", {"prompt": prompt, **body}, web)
        assert answer.status == 200, answer.content
        request_id: str = answer.json["requestId"]
        return request_id

    def status(self, request_id: str, web: int = 0) -> Any:
        """The status of the request."""
        return self.get(f"/api/images/{request_id}/status", web).json

    def final(self, request_id: str, timeout_s: float = 30.0) -> Any:
        """Wait until the request is final; returns it."""

        def ended() -> Any:
            result = self.get(f"/api/images/{request_id}?wait=5").json
            return result if result["status"] in {"completed", "failed", "cancelled"} else None

        return until(ended, timeout_s, f"{request_id} to end")

    def extension(self, extension_id: str, *capabilities: str, web: int = 0, **options: Any) -> Extension:
        """A scripted extension at one of the web processes; a `with` block authenticates it."""
        return Extension(f"ws://127.0.0.1:{self.ports[web]}/ws", extension_id, *capabilities, **options)

    def row(self, request_id: str) -> Job:
        """The request's row in the database."""
        database = Database(self.env["DATABASE_URL"])
        try:
            job = database.read(lambda c: jobs.find(c, request_id))
        finally:
            database.close()
        assert job is not None
        return job

    @property
    def pictures(self) -> list[str]:
        """The names of the files that are stored."""
        return sorted(path.name for path in (self.folder / "pictures").glob("*.png"))

    def log(self, name: str) -> str:
        """The output of a process."""
        return (self.folder / f"{name}.log").read_text(errors="replace")

    def start(self, name: str, **more: str) -> None:
        """Start one of the processes: web0, web1, …, worker0, …, beat; `more` is added to its environment."""
        port = {"PORT": str(self.ports[int(name[3:])])} if name.startswith("web") else {}
        env = {**self.env, **port, **more}
        with (self.folder / f"{name}.log").open("ab") as log:
            self.processes[name] = subprocess.Popen(
                _command(name),
                cwd=ROOT,
                env={**os.environ, **env},
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
                process_group=0,
                preexec_fn=partial(end_with_parent, os.getpid()),  # noqa: PLW1509 - two system calls, and no lock
            )

    def stop(self, name: str, number: int = signal.SIGTERM, timeout_s: float = 40.0) -> int:
        """Stop one of the processes; returns its exit status."""
        process = self.processes.pop(name)
        process.send_signal(number)
        return process.wait(timeout_s)

    def ready(self) -> None:
        """Wait until every web process answers and every worker has connected."""
        for index in range(len(self.ports)):
            until(partial(self._answers, index), 60, f"web{index} to answer; its log: {self.log(f'web{index}')}")
        for name in self.processes:
            if name.startswith("worker"):
                until(partial(self._is_ready, name), 60, f"{name} to be ready")

    def _answers(self, index: int) -> bool:
        try:
            return self.get("/health", index).status == 200
        except OSError:
            return False

    def _is_ready(self, name: str) -> bool:
        return self.log(name).count(" ready.") >= CELERY_WORKERS


def _command(name: str) -> list[str]:
    if name.startswith("web"):
        return [str(PROGRAMS / "gunicorn"), "-c", "gunicorn.conf.py", "wsgi:app"]
    if name.startswith("worker"):
        return [sys.executable, "-m", "worker"]
    return [str(PROGRAMS / "celery"), "-A", "celery_config", "--quiet", "beat", "--loglevel", "warning"]


@contextmanager
def running_service(
    folder: Path, database_url: str, redis_url: str, webs: int = 2, workers: int = 1, **env: str
) -> Iterator[Service]:
    """Run the whole service, without beat where no worker does its tasks, and stop it at the end of the block."""
    settings = {
        **QUICK,
        "WS_PORT": "",
        "DATABASE_URL": database_url,
        "REDIS_URL": redis_url,
        "IMAGE_STORAGE_PATH": str(folder / "pictures"),
        "METRICS_FOLDER": str(folder / "metrics"),
        **env,
    }
    service = Service(folder, free_ports(webs), settings)
    with ExitStack() as stack:
        beat = ["beat"] if workers else []
        for name in [*(f"web{n}" for n in range(webs)), *(f"worker{n}" for n in range(workers)), *beat]:
            service.start(name)
        stack.callback(_end, service)
        service.ready()
        yield service


def _end(service: Service) -> None:
    for process in service.processes.values():
        process.terminate()
    for name, process in service.processes.items():
        assert ends_within(process, 40), f"{name} did not end: {service.log(name)[-2000:]}"
