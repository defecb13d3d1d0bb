"""Fixtures for all tests: real servers, and fresh migrated databases of both kinds."""

from __future__ import annotations

import os
import resource
import shutil
import signal
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from app.db.engine import Database
from app.db.migrate import upgrade
from tests.support.postgres import TEMPLATE, PostgresServer, shared_server
from tests.support.redis import running_redis
from tests.support.s3 import CREDENTIALS, S3Server, s3_server
from tests.support.scratch import use_memory
from tests.support.service import Service, running_service


def pytest_configure() -> None:
    """Handle Ctrl-C again: a shell that starts tests in the background lets them and their children ignore it. Keep files in
    memory."""
    if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
        signal.signal(signal.SIGINT, signal.default_int_handler)
    use_memory()


@pytest.fixture(autouse=True)
def _no_memory_limit_is_left_behind() -> Iterator[None]:
    """One of this process would make later tests, and browsers that they start, run out of memory."""
    before = resource.getrlimit(resource.RLIMIT_AS)
    yield
    assert resource.getrlimit(resource.RLIMIT_AS) == before


@pytest.fixture(scope="session")
def redis_url() -> Iterator[str]:
    """A real Redis for this test process, on a unix socket. Tests share it: use keys of your own, or flush it."""
    with tempfile.TemporaryDirectory(prefix="imagefleet-redis-") as folder, running_redis(Path(folder)) as server:
        yield server.url


@pytest.fixture(scope="session")
def postgres(tmp_path_factory: pytest.TempPathFactory) -> PostgresServer:
    """A real PostgreSQL server for the whole run."""
    own = tmp_path_factory.getbasetemp()
    return shared_server(own.parent if own.name.startswith("popen-") else own)


@pytest.fixture(scope="session")
def postgres_url(postgres: PostgresServer) -> str:
    """An empty PostgreSQL database of this test process's own."""
    return postgres.create()


@pytest.fixture(scope="session")
def migrated_sqlite_file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A SQLite database with the schema and nothing in it; copy it."""
    path = tmp_path_factory.mktemp("sqlite") / "migrated.db"
    upgrade(f"sqlite:///{path}")
    return path


@pytest.fixture(scope="session")
def s3() -> Iterator[S3Server]:
    """A real S3 server for this test process. Tests share it: use buckets of your own."""
    with s3_server() as running:
        yield running


@pytest.fixture
def s3_credentials(monkeypatch: pytest.MonkeyPatch) -> None:
    """Its credentials, where AWS's own clients look for them."""
    for name, value in CREDENTIALS.items():
        monkeypatch.setenv(name, value)


@pytest.fixture
def fresh_sqlite(migrated_sqlite_file: Path) -> str:
    """The URL of a fresh, migrated database, the same for each test of this process."""
    for old in migrated_sqlite_file.parent.glob("fresh.db*"):
        old.unlink()
    return f"sqlite:///{shutil.copyfile(migrated_sqlite_file, migrated_sqlite_file.with_name('fresh.db'))}"


@pytest.fixture
def fresh_postgres(postgres: PostgresServer) -> Iterator[str]:
    """The same on PostgreSQL."""
    url = postgres.create(TEMPLATE, name=f"fresh_{os.getpid()}")
    yield url
    postgres.drop(url)


@pytest.fixture(params=["sqlite", "postgresql"])
def database_url(request: pytest.FixtureRequest) -> str:
    """A fresh, migrated database: each test that uses it runs once on SQLite and once on PostgreSQL."""
    return str(request.getfixturevalue("fresh_sqlite" if request.param == "sqlite" else "fresh_postgres"))


@pytest.fixture(scope="session")
def opened_before() -> dict[str, Database]:
    """What tests of this process have opened, by URL. Engines keep compiled statements, and compiling them anew for each test
    would take a third of the CPU of short tests."""
    return {}


@pytest.fixture
def database(database_url: str, opened_before: dict[str, Database]) -> Iterator[Database]:
    """The opened database. What listens to its engines does so until the end of the test."""
    database = Database(database_url)
    first = opened_before.setdefault(database_url, database)
    database.reader, database.writer = first.reader.execution_options(), first.writer.execution_options()
    yield database
    database.close()


@pytest.fixture(scope="session")
def service(tmp_path_factory: pytest.TempPathFactory, migrated_sqlite_file: Path) -> Iterator[Service]:
    """The whole service as real processes, on SQLite: two web processes, two workers, beat. Tests share it."""
    folder = tmp_path_factory.mktemp("service")
    database = shutil.copyfile(migrated_sqlite_file, folder / "imagefleet.db")
    with _service(folder, f"sqlite:///{database}") as service:
        yield service


@pytest.fixture(scope="module")
def service_on_postgres(tmp_path_factory: pytest.TempPathFactory, postgres: PostgresServer) -> Iterator[Service]:
    """The same on PostgreSQL, for one module only, because its sweeps use CPU as long as it runs."""
    with _service(tmp_path_factory.mktemp("service"), postgres.create(TEMPLATE)) as service:
        yield service


@contextmanager
def _service(folder: Path, database_url: str) -> Iterator[Service]:
    """A service with its own Redis: two services on one would receive each other's wake-ups."""
    with (
        tempfile.TemporaryDirectory(prefix="imagefleet-redis-") as redis_folder,
        running_redis(Path(redis_folder)) as redis,
        running_service(folder, database_url, redis.url, workers=2, IMAGE_SOURCE_ALLOWLIST="127.0.0.1") as service,
    ):
        yield service


@pytest.fixture
def two_hours_ahead(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Local time is two hours ahead of UTC."""
    with monkeypatch.context() as changed:
        changed.setenv("TZ", "UTC-2")
        time.tzset()
        yield
    time.tzset()
