"""Connections to the database, and what becomes of them."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
from psycopg.pq import TransactionStatus
from sqlalchemy import Connection

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


def test_a_question_to_postgresql_is_one_way_there_and_back(on_postgres: Database) -> None:
    def where_it_stands(connection: Connection) -> TransactionStatus:
        connection.exec_driver_sql("SELECT 1")
        driver: Any = connection.connection.driver_connection
        return TransactionStatus(driver.info.transaction_status)

    assert on_postgres.read(where_it_stands) is TransactionStatus.IDLE
    assert on_postgres.write(lambda tx: where_it_stands(tx.connection)) is TransactionStatus.INTRANS


def setting(url: str, name: str) -> str:
    database = Database(url)
    try:
        return str(database.read(lambda connection: connection.exec_driver_sql(f"SHOW {name}").scalar_one()))
    finally:
        database.close()


def test_nobody_holds_locks_for_long_without_a_word(postgres_url: str) -> None:
    assert setting(postgres_url, "idle_in_transaction_session_timeout") == "5s"


def test_what_a_transaction_asks_is_read_in_order_and_what_is_only_looked_at_may_be_sorted(
    on_postgres: Database, postgres_url: str
) -> None:
    asked = "SHOW enable_sort"
    assert on_postgres.write(lambda tx: tx.connection.exec_driver_sql(asked).scalar_one()) == "off"
    assert setting(postgres_url, "enable_sort") == "on"


def parameters(database: Database) -> dict[str, str]:
    """What the connection was made with."""

    def told(connection: Connection) -> dict[str, str]:
        driver: Any = connection.connection.driver_connection
        return dict(driver.info.get_parameters())

    return database.read(told)


def test_a_connection_that_says_nothing_is_given_up(on_postgres: Database) -> None:
    told = parameters(on_postgres)
    assert (told["keepalives_idle"], told["tcp_user_timeout"], told["connect_timeout"]) == ("5", "10000", "3")


def test_the_operator_knows_better(postgres_url: str) -> None:
    url = f"{postgres_url}&options=-c%20idle_in_transaction_session_timeout%3D60s&connect_timeout=9"
    assert setting(url, "idle_in_transaction_session_timeout") == "1min"
    database = Database(url)
    assert parameters(database)["connect_timeout"] == "9"
    database.close()
