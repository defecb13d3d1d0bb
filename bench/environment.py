"""Servers, databases and credentials for a measure, on this machine; all end with their `with` block."""

from __future__ import annotations

import atexit
import os
import shutil
import subprocess
import sys
import tempfile
import uuid
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from functools import cache, partial
from pathlib import Path
from typing import Any

import psutil
import psycopg
import redis
from sqlalchemy import make_url, text

from app.config import Settings
from app.container import build, real_ports
from app.db.engine import write_engine
from app.db.migrate import upgrade
from app.domain.access import Role, Scope
from app.launch.parent_death import end_with_parent
from bench import meter
from bench.load.http import request_text
from bench.loading import Load, loading
from tests.support.ports import free_port
from tests.support.postgres import PostgresServer
from tests.support.processes import ends_within
from tests.support.redis import running_redis
from tests.support.service import PROGRAMS, QUICK, ROOT, Service, call, running_service
from tests.support.waiting import until

USER = "bench"
USERS = (USER, *(f"{USER}-{n}" for n in range(1, 64)))  # for measures with several users
MODEL = "bench-model"
UNSERVED = "model-of-no-extension"
PROMPT = "A futuristic cityscape at night, seen from the river"
FORGET = "DELETE FROM jobs WHERE user_id = :user AND status = 'accepted' AND prompt = :prompt"
MANY = str(10**9)
# The default configuration with every feature on; limits count, but are too high to refuse anything.
ENVIRONMENT = {
    **dict.fromkeys(QUICK, ""),
    "AUTH_MODE": "required",
    "RATE_LIMIT_MAX_REQUESTS": "1000000",
    "RATE_LIMIT_BURST": "1000000",
    "RATE_LIMIT_GLOBAL": "10000000",
    # Waiting requests are removed after each turn. If all clients share one user, that user has all submissions of a turn:
    # 724 per second were measured, so 1,450 in the longest turn of two seconds. The floor would reach about 2,700.
    "QUOTA_WAITING": "4000",
    "MAX_SOCKETS": "20000",
    "MAX_SOCKET_MESSAGES_PER_S": "1000000",
    "MAX_SOCKET_BYTES_PER_S": MANY,
    "NO_EXTENSION_TIMEOUT_MS": MANY,
    "IMAGE_SOURCE_ALLOWLIST": "127.0.0.1",
    "SECRET_KEY": "",
    "JWT_SECRET": "",
}


@dataclass(frozen=True)
class SystemUnderTest:
    """The running service and its credentials: `keys` are those of USERS, in their order."""

    service: Service
    redis_pid: int
    keys: list[str]
    tokens: list[str]

    @property
    def key(self) -> str:
        """The first user's key."""
        return self.keys[0]

    @property
    def port(self) -> int:
        """The port of the only web process, for HTTP and WebSocket."""
        return self.service.ports[0]

    @property
    def web_pid(self) -> int:
        """The gunicorn worker, not its master process."""
        return meter.tree(self.service.processes["web0"].pid)[-1]

    def groups(self) -> dict[str, list[int]]:
        """The process IDs by role."""
        processes = self.service.processes
        workers = meter.tree(processes["worker0"].pid)
        return {
            "web": meter.tree(processes["web0"].pid),
            "dispatch": [pid for pid in workers if _serves(pid, "dispatch")],
            "download": [each for pid in workers if _serves(pid, "download") for each in meter.tree(pid)],
            "beat": meter.tree(processes["beat"].pid),
            "redis": [self.redis_pid],
            **postgres_group(self.service.env["DATABASE_URL"]),
        }

    def post_text(self, prompt: str = PROMPT, model: str = MODEL, user: int = 0) -> str:
        """A submission as HTTP text, by one of USERS."""
        return submission(prompt, self.keys[user], model)

    def forget_submissions(self) -> None:
        """Remove the requests that a turn left waiting, so that every turn starts equal."""
        engine = write_engine(self.service.env["DATABASE_URL"])
        with engine.begin() as connection:
            connection.execute(text(FORGET), [{"user": user, "prompt": PROMPT} for user in USERS])
        engine.dispose()


def submission(prompt: str = PROMPT, key: str | None = None, model: str = MODEL) -> str:
    """A submission as HTTP text, with `key` if there is one."""
    body = f'{{"prompt": "{prompt}", "model": "{model}", "parameters": {{"width": 1024, "height": 1024}}}}'
    return request_text("POST", "/api/images/generate", body, key).decode()


@contextmanager
def serving(database: str, extensions: int = 0, url: str | None = None, **env: str) -> Iterator[SystemUnderTest]:
    """The service on a database of its own (or on `url`), with USERS and tokens for `extensions` extensions."""
    with ExitStack() as stack:
        folder = run_folder()
        url = url or stack.enter_context(fresh(database, folder))
        redis_url, redis_pid = stack.enter_context(own_redis())
        settings = {**ENVIRONMENT, **env, "IMAGE_STORAGE_PATH": str(folder / "pictures")}
        keys, tokens = create_credentials({**settings, "DATABASE_URL": url, "REDIS_URL": redis_url}, extensions)
        service = stack.enter_context(running_service(folder, url, redis_url, webs=1, workers=1, **settings))
        yield SystemUnderTest(service, redis_pid, keys, tokens)


def create_credentials(env: Mapping[str, str], extensions: int) -> tuple[list[str], list[str]]:
    """A key of each of USERS, and a token for each extension, named e0, e1 and so on."""
    settings = Settings.from_env(env)
    services = build(real_ports(settings))
    try:
        for user in USERS:
            services.accounts.create_user(user, Role.USER)
        keys = [str(services.accounts.create_key(user, [Scope.READ, Scope.WRITE])) for user in USERS]
        week_ms = 7 * 86_400_000
        tokens = [services.accounts.issue_token(f"e{n}", Role.EXTENSION, (), week_ms)[0] for n in range(extensions)]
    finally:
        services.ports.database.close()
    return keys, tokens


@contextmanager
def fleet(system: SystemUnderTest, slots: int = 1) -> Iterator[tuple[Load, dict[str, Any]]]:
    """Connects every extension that has a token; yields the load generator and the figures of connecting.

    Raises RuntimeError if not all of them connected.
    """
    with loading("bench.load.fleet") as load:
        post = system.post_text("PROMPT")
        done = load.call("connect", port=system.port, tokens=system.tokens, model=MODEL, post=post, slots=slots)
        if done["count"] != len(system.tokens):
            raise RuntimeError(f"of {len(system.tokens)} extensions only {done['count']} connected")
        yield load, done


@contextmanager
def scratch() -> Iterator[Path]:
    """A temporary folder."""
    with tempfile.TemporaryDirectory(prefix="imagefleet-bench-", ignore_cleanup_errors=True) as folder:
        yield Path(folder)


def run_folder() -> Path:
    """A temporary folder that is deleted at the end of the run, not earlier.

    After files were removed, ext4 without a journal is slow to create new ones for a minute or more: 240 us were
    measured, instead of 15. The cleanup after one measure must not slow the next one down.
    """
    return Path(tempfile.mkdtemp(dir=_run_root()))


@cache
def _run_root() -> str:
    folder = tempfile.mkdtemp(prefix="imagefleet-bench-")
    atexit.register(shutil.rmtree, folder, ignore_errors=True)
    return folder


@contextmanager
def fresh(database: str, folder: Path) -> Iterator[str]:
    """The URL of a new database with the schema."""
    if database == "sqlite":
        url = f"sqlite:///{folder / (uuid.uuid4().hex + '.db')}"
        upgrade(url)
        yield url
        return
    server = postgres_server()
    url = server.create()
    upgrade(url)
    yield url
    server.drop(url)


@contextmanager
def own_redis() -> Iterator[tuple[str, int]]:
    """The URL and process ID of a new Redis."""
    with tempfile.TemporaryDirectory(prefix="imagefleet-redis-") as folder, running_redis(Path(folder)) as server:
        client = redis.Redis.from_url(server.url)
        pid = int(client.info("server")["process_id"])
        client.close()
        yield server.url, pid


@cache
def postgres_server() -> PostgresServer:
    """One PostgreSQL for the whole run, started on first use; it ends with this process."""
    runner = subprocess.Popen(
        [sys.executable, "-m", "bench.postgres_runner", str(os.getpid())],
        cwd=ROOT,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        text=True,
        start_new_session=True,  # Ctrl-C is for the run; the runner ends after it
    )
    assert runner.stdout is not None
    url = runner.stdout.readline().strip()
    if not url:
        raise RuntimeError("PostgreSQL did not start; see its output above")
    return PostgresServer(url)


@cache
def _postmaster(url: str) -> int:
    with psycopg.connect(url.replace("+psycopg", "")) as connection:
        row = connection.execute("SELECT pg_backend_pid()").fetchone()
        assert row is not None
        return int(psutil.Process(row[0]).ppid())


def postgres_group(url: str) -> dict[str, list[int]]:
    """The process IDs of PostgreSQL; empty for SQLite."""
    if make_url(url).get_backend_name() == "sqlite":
        return {}
    return {"postgresql": meter.tree(_postmaster(url))}


@contextmanager
def floor_web(application: str, **env: str) -> Iterator[tuple[int, int]]:
    """An application of `bench.floors` under the same kind of server; yields its port and process ID."""
    port = free_port()
    command = [str(PROGRAMS / "gunicorn"), "-c", "python:bench.floors.server", "-b", f"127.0.0.1:{port}"]
    with child([*command, f"bench.floors.{application}:app"], env) as process:
        until(lambda: _answers(port), 60, f"the floor {application} to answer")
        yield port, process.pid


@contextmanager
def child(command: list[str], env: Mapping[str, str], **options: Any) -> Iterator[subprocess.Popen[bytes]]:
    """A process that is terminated at the end of the block."""
    process = subprocess.Popen(
        command,
        cwd=ROOT,
        env={**os.environ, **env},
        stdin=subprocess.DEVNULL,
        preexec_fn=partial(end_with_parent, os.getpid()),  # noqa: PLW1509 - two system calls, and no lock
        **options,
    )
    try:
        yield process
    finally:
        process.terminate()
        ends_within(process, 20)


def _answers(port: int) -> bool:
    try:
        return call("GET", f"http://127.0.0.1:{port}/cached").status == 200
    except OSError:
        return False


def _serves(pid: int, queue: str) -> bool:
    try:
        return any(part.startswith(f"--queues={queue}") for part in psutil.Process(pid).cmdline())
    except psutil.Error:
        return False
