"""What every error of a driver becomes."""

from __future__ import annotations

import inspect
import sqlite3
import time
from collections.abc import Iterator
from contextlib import closing

import psycopg
import pytest
from sqlalchemy import text
from sqlalchemy.exc import DBAPIError, IntegrityError
from sqlalchemy.exc import TimeoutError as PoolTimeout

from app.db.driver_errors import Outcome, outcome
from app.db.engine import Database, Transaction
from app.db.statement_deadline import StatementTimeout
from app.domain.errors import Unavailable

CANARY = "canary4711"
RETRIED = {"40001", "40P01", "25P03", "25P04"}
DEFECTS = (psycopg.DataError, psycopg.IntegrityError, psycopg.ProgrammingError, psycopg.NotSupportedError)
STATES = {
    kind.sqlstate: kind
    for _, kind in inspect.getmembers(psycopg.errors, inspect.isclass)
    if issubclass(kind, psycopg.Error) and kind.sqlstate
}


def wrapped(
    error: Exception, driver: type[Exception], *, broken: bool = False, statement: str | None = "SELECT 1"
) -> DBAPIError:
    """The error as SQLAlchemy raises it."""
    made = DBAPIError.instance(statement, {}, error, driver, connection_invalidated=broken)
    assert isinstance(made, DBAPIError)
    return made


@pytest.mark.parametrize("state", sorted(STATES))
def test_every_sqlstate_of_postgresql_has_its_outcome(state: str) -> None:
    kind = STATES[state]
    expected = Outcome.DEFECT if issubclass(kind, DEFECTS) else Outcome.UNAVAILABLE
    assert outcome(wrapped(kind("no"), psycopg.Error)) is (Outcome.RETRY if state in RETRIED else expected)


@pytest.mark.parametrize(
    ("kind", "expected"),
    [
        (sqlite3.OperationalError, Outcome.UNAVAILABLE),  # locked, full, read-only, unreadable
        (sqlite3.DatabaseError, Outcome.UNAVAILABLE),  # damaged
        (sqlite3.InternalError, Outcome.UNAVAILABLE),
        (sqlite3.InterfaceError, Outcome.UNAVAILABLE),
        (sqlite3.IntegrityError, Outcome.DEFECT),
        (sqlite3.ProgrammingError, Outcome.DEFECT),
        (sqlite3.DataError, Outcome.DEFECT),
    ],
)
def test_every_error_of_sqlite_has_its_outcome(kind: type[Exception], expected: Outcome) -> None:
    assert outcome(wrapped(kind("no"), sqlite3.Error)) is expected


@pytest.mark.parametrize(
    ("kind", "statement", "expected"),
    [
        (psycopg.OperationalError, "SELECT 1", Outcome.RETRY),
        (psycopg.InternalError, "SELECT 1", Outcome.RETRY),
        (psycopg.OperationalError, None, Outcome.UNAVAILABLE),  # the commit: its outcome is unknown
        (StatementTimeout, "SELECT 1", Outcome.UNAVAILABLE),
    ],
)
def test_a_broken_connection_is_replaced_unless_the_commit_may_have_succeeded(
    kind: type[Exception], statement: str | None, expected: Outcome
) -> None:
    assert outcome(wrapped(kind("no"), psycopg.Error, broken=True, statement=statement)) is expected


def test_an_exhausted_pool_is_unavailable() -> None:
    assert outcome(PoolTimeout()) is Outcome.UNAVAILABLE


@pytest.fixture
def on_postgres(postgres_url: str) -> Iterator[Database]:
    with closing(Database(postgres_url)) as database:
        yield database


@pytest.mark.parametrize("in_commit", [False, True])
def test_a_transaction_that_postgresql_ended_for_being_idle_runs_again(on_postgres: Database, in_commit: bool) -> None:
    runs: list[int] = []

    def lives(pid: int) -> bool:
        count = text("SELECT count(*) FROM pg_stat_activity WHERE pid = :pid")
        return bool(on_postgres.read(lambda c: c.execute(count, {"pid": pid}).scalar_one()))

    def work(tx: Transaction) -> int:
        runs.append(int(tx.connection.execute(text("SELECT pg_backend_pid()")).scalar_one()))
        if len(runs) == 1:
            tx.connection.execute(text("SET LOCAL idle_in_transaction_session_timeout = '20ms'"))
            while lives(runs[0]):
                time.sleep(0.005)
        if not in_commit:
            tx.connection.execute(text("SELECT 1"))
        return runs[-1]

    assert on_postgres.write(work) == runs[-1]
    assert len(set(runs)) == len(runs) == 2


def test_a_read_only_server_is_unavailable(on_postgres: Database) -> None:
    def work(tx: Transaction) -> None:
        tx.connection.execute(text("SET TRANSACTION READ ONLY"))
        tx.connection.execute(text("CREATE TABLE nothing (n INTEGER)"))

    with pytest.raises(Unavailable):
        on_postgres.write(work)


@pytest.mark.parametrize(
    "statement",
    [
        "INSERT INTO secrets (name, value, created_at) VALUES (:canary, '', NULL)",  # DETAIL: Failing row contains …
        "INSERT INTO secrets (name, value, created_at) VALUES (:canary, '', 1), (:canary, '', 1)",  # DETAIL: Key …
        "SELECT CAST(:canary AS INTEGER)",  # invalid input syntax for type integer: "…"
    ],
)
def test_the_text_of_a_defect_contains_no_value(database: Database, statement: str) -> None:
    if database.writer.dialect.name == "sqlite" and "CAST" in statement:
        statement = "SELECT json(:canary)"
    with pytest.raises((DBAPIError, Unavailable)) as raised:
        database.write(lambda tx: tx.connection.execute(text(statement), {"canary": CANARY}).first())
    error: BaseException | None = raised.value
    while error is not None:
        assert CANARY not in str(error)
        error = error.__cause__ or error.__context__


def test_a_defect_keeps_its_type_and_its_constraint(database: Database) -> None:
    twice = text("INSERT INTO secrets (name, value, created_at) VALUES ('a', '', 1), ('a', '', 1)")
    with pytest.raises(IntegrityError, match="secrets"):
        database.write(lambda tx: tx.connection.execute(twice))
