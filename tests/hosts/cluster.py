"""The service on several hosts: two web hosts, two worker hosts, one of them with beat, and their shared servers."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager, suppress
from functools import partial
from pathlib import Path

import psutil
import psycopg
from redis import Redis, RedisError

from app.db.migrate import upgrade
from app.launch.parent_death import end_with_parent
from app.launch.procfile import read_procfile
from tests.chaos.stage import SETTINGS
from tests.hosts import servers
from tests.hosts.network import BRIDGE, Network
from tests.support import s3
from tests.support.processes import ends_within
from tests.support.service import ROOT, Answer, call
from tests.support.waiting import until
from worker.__main__ import CELERY_WORKERS

WEBS = ("web-a", "web-b")
WORKERS = ("worker-a", "worker-b")
SERVERS = ("redis", "postgresql", "s3")  # on SIGINT they do not wait for connected clients
PORT = 3000
AGAIN_S = 0.5
START_S = 60.0
END_S = 40.0


class Cluster:
    """Processes by the names of their hosts. Start and supervise them from one thread that outlives them."""

    def __init__(self, network: Network, folder: Path, beats: int, *, bare: bool, bucket: bool) -> None:
        self.network = network
        self.folder = folder
        self._pictures = folder / "pictures"  # visible on every host, like a shared file system
        self._s3 = s3.S3Server(f"http://{network.servers}:{servers.S3_PORT}") if bucket else None
        self._bucket = ""
        self.restarts: Counter[str] = Counter()
        self.database_url = servers.postgresql_url(network.servers)
        self._bare = bare
        self.outside = network.outside()
        self._beats = tuple(f"beat on {host}" for host in WORKERS[:beats])
        self._commands = read_procfile(ROOT / "Procfile")
        self._processes: dict[str, subprocess.Popen[bytes]] = {}
        self._again_at: dict[str, float] = {}
        for host in (*WEBS, *WORKERS):
            network.host(host)

    @property
    def env(self) -> dict[str, str]:
        """The environment of every process."""
        return {
            **SETTINGS,
            "DATABASE_URL": servers.postgresql_url(self.network.servers, bare=self._bare),
            "REDIS_URL": servers.redis_url(self.network.servers),
            "IMAGE_STORAGE_PATH": str(self._pictures),
            "STORAGE_URL": "" if self._s3 is None else self._s3.address(self._bucket),
            "IMAGE_SOURCE_ALLOWLIST": self.network.subnet,
            "AUTH_MODE": "open",
            "PORT": str(PORT),
            "PATH": os.pathsep.join([str(Path(sys.executable).parent), os.environ.get("PATH", os.defpath)]),
        }

    def url(self, host: str) -> str:
        """The base URL of a web host."""
        return f"http://{self.network.address(host)}:{PORT}"

    def socket(self, host: str) -> str:
        """The WebSocket URL for extensions."""
        return self.url(host).replace("http", "ws") + "/ws"

    def start(self) -> None:
        """Start the servers, then the service, and wait until everything is ready."""
        address = self.network.servers
        self._run("postgresql", BRIDGE, servers.postgresql(self.folder, address, self.network.subnet))
        self._run("redis", BRIDGE, servers.redis(self.folder, address))
        until(self._servers_answer, START_S, "PostgreSQL and Redis to answer")
        upgrade(self.database_url)
        if self._s3 is not None:
            self._run("s3", BRIDGE, s3.command(address, servers.S3_PORT))
            until(self._s3.answers, START_S, "the S3 server to answer")
            self._bucket = self._s3.bucket()
        for name in (*WEBS, *WORKERS, *self._beats):
            self._start(name)
        for host in WEBS:
            until(partial(self.healthy, host), START_S, f"{host} to be healthy; its log: {self.log(host)[-2000:]}")
        for host in WORKERS:
            until(partial(self._is_ready, host), START_S, f"{host} to be ready; its log: {self.log(host)[-2000:]}")

    def restart_dead(self) -> None:
        """Restart processes that have ended, a moment after their end, as a process supervisor would."""
        now = time.monotonic()
        for name, process in list(self._processes.items()):
            if process.poll() is not None and now >= self._again_at.setdefault(name, now + AGAIN_S):
                del self._again_at[name]
                self.restarts[name] += 1
                self._start(name)

    def suspend(self, name: str) -> Callable[[], None]:
        """Suspend a host's processes; the returned function resumes them."""
        root = psutil.Process(self._processes[name].pid)
        tree = [root, *root.children(recursive=True)]
        _each(tree, "suspend")
        return partial(_each, tree, "resume")

    def end(self) -> None:
        """Stop everything, servers last."""
        services = [name for name in self._processes if name not in SERVERS]
        for names in (services, SERVERS):
            processes = [self._processes[name] for name in names if name in self._processes]
            for process in processes:
                process.send_signal(signal.SIGTERM if names is services else signal.SIGINT)
            for process in processes:
                ends_within(process, END_S)

    def healthy(self, host: str) -> bool:
        """True if that web host reports that it is healthy."""
        answer = self.health(host)
        return answer is not None and answer.status == 200 and answer.json["status"] == "healthy"

    def health(self, host: str) -> Answer | None:
        """The response to a health check; None if there is none."""
        with suppress(OSError):
            return call("GET", self.url(host) + "/health")
        return None

    def pictures(self) -> Path:
        """The folder of all stored pictures; with a bucket, that of a copy of it."""
        if self._s3 is not None:
            self._s3.copy_to(self._pictures, self._bucket)
        return self._pictures

    def log(self, name: str) -> str:
        """The output of a process."""
        return self._log(name).read_text(errors="replace")

    def _log(self, name: str) -> Path:
        return self.folder / f"{name.replace(' ', '-')}.log"

    def _start(self, name: str) -> None:
        kind, _, host = name.partition(" on ")
        host = host or name
        more = {"HOST": self.network.address(host)} if host in WEBS else {}
        if self._s3 is not None:  # a folder of its own, for unfinished files
            more["IMAGE_STORAGE_PATH"] = str(self.folder / f"unfinished-{host}")
        self._run(name, host, self._commands[kind.partition("-")[0]], more)

    def _run(self, name: str, host: str, command: Sequence[str], more: dict[str, str] | None = None) -> None:
        with self._log(name).open("ab") as log:
            self._processes[name] = subprocess.Popen(
                self.network.command(host, command),
                cwd=ROOT,
                env={**os.environ, **self.env, **(more or {})},
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
                process_group=0,  # Ctrl-C must reach only this process
                preexec_fn=partial(end_with_parent, os.getpid()),  # noqa: PLW1509 - two system calls, and no lock
            )

    def _servers_answer(self) -> bool:
        with suppress(psycopg.Error, RedisError):
            psycopg.connect(self.database_url.replace("+psycopg", ""), connect_timeout=2).close()
            return bool(Redis(self.network.servers, servers.REDIS_PORT).ping())
        return False

    def _is_ready(self, host: str) -> bool:
        return self.log(host).count(" ready.") >= CELERY_WORKERS


def _each(processes: Sequence[psutil.Process], method: str) -> None:
    for process in processes:
        with suppress(psutil.NoSuchProcess):
            getattr(process, method)()


@contextmanager
def cluster(folder: Path, beats: int, *, bare: bool, bucket: bool) -> Iterator[Cluster]:
    """A running cluster on its own network. Raises CannotBuild."""
    with ExitStack() as stack:
        network = stack.enter_context(Network())
        made = Cluster(network, folder, beats, bare=bare, bucket=bucket)
        stack.callback(made.end)
        made.start()
        yield made
