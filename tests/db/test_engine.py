"""Connections to the database, and what becomes of them."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from app.db.engine import Database


@pytest.fixture
def on_postgres(postgres_url: str) -> Iterator[Database]:
    database = Database(postgres_url)
    yield database
    database.close()


def backend(database: Database) -> int:
    """The process of PostgreSQL that serves the next connection of the pool."""
    return int(database.read(lambda connection: connection.exec_driver_sql("SELECT pg_backend_pid()").scalar_one()))


def end(other: Database, pid: int) -> None:
    ended = f"SELECT pg_terminate_backend({pid}, 10000)"  # which waits until it has
    assert other.read(lambda connection: connection.exec_driver_sql(ended).scalar_one())


def test_a_connection_that_postgresql_ended_is_made_anew(on_postgres: Database, postgres_url: str) -> None:
    pid = backend(on_postgres)
    assert backend(on_postgres) == pid

    other = Database(postgres_url)
    end(other, pid)
    other.close()

    assert backend(on_postgres) not in (pid, 0)
