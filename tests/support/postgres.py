"""A real PostgreSQL for a whole test run: one server, started on first use, a database for each test.

A separate process, `postgres_runner`, stops the server at the end of the run.
"""

from __future__ import annotations

import fcntl
import os
import subprocess
import sys
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import psycopg
from psycopg import sql
from sqlalchemy import make_url

from app.db.migrate import upgrade

ROOT = Path(__file__).resolve().parents[2]
TEMPLATE = "migrated"


@dataclass(frozen=True)
class PostgresServer:
    """A running server; `url` is that of its maintenance database, with the driver that the application uses."""

    url: str

    def create(self, template: str = "template0", name: str = "") -> str:
        """A new database; returns its URL. `TEMPLATE` names the one that has the schema already."""
        name = name or f"t{uuid.uuid4().hex}"
        self._run(
            # with fsync off, copying the files is three times as fast as logging their pages
            sql.SQL("CREATE DATABASE {} TEMPLATE {} STRATEGY FILE_COPY").format(
                sql.Identifier(name), sql.Identifier(template)
            )
        )
        return self.url_of(name)

    def drop(self, url: str) -> None:
        """Remove the database that `create` returned, even if clients are still connected."""
        self._run(sql.SQL("DROP DATABASE {} WITH (FORCE)").format(sql.Identifier(make_url(url).database or "")))

    def url_of(self, name: str) -> str:
        """The URL of one of its databases."""
        return make_url(self.url).set(database=name).render_as_string(hide_password=False)

    def prepare(self) -> None:
        """Create the database that others are copied from."""
        self._run(sql.SQL("CREATE DATABASE {}").format(sql.Identifier(TEMPLATE)))
        upgrade(self.url_of(TEMPLATE))

    def _run(self, statement: sql.Composed) -> None:
        with psycopg.connect(self.url.replace("+psycopg", ""), autocommit=True) as connection:
            connection.execute(statement)


def shared_server(folder: Path) -> PostgresServer:
    """The server of this test run; `folder` is one that all processes of the run, and no others, share."""
    known = folder / "postgres.url"
    with _exclusive_lock(folder / "postgres.lock"):
        if known.exists():
            return PostgresServer(known.read_text())
        server = PostgresServer(_start(_process_of_the_run()))
        server.prepare()
        known.write_text(server.url)
        return server


def _process_of_the_run() -> int:
    return os.getppid() if "PYTEST_XDIST_WORKER" in os.environ else os.getpid()


def _start(owner: int) -> str:
    runner = subprocess.Popen(
        [sys.executable, "-m", "tests.support.postgres_runner", str(owner)],
        cwd=ROOT,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        text=True,
        start_new_session=True,  # Ctrl-C is for the run; the runner ends after it
    )
    assert runner.stdout is not None
    url = runner.stdout.readline().strip()
    assert url, "PostgreSQL did not start; see its output above"
    return url


@contextmanager
def _exclusive_lock(path: Path) -> Iterator[None]:
    with path.open("w") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        yield
