"""What PostgreSQL is told straight: when it is sent, what comes back, and what becomes of it where the server refuses."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any
from unittest.mock import patch

import psycopg
import pytest
from sqlalchemy import make_url

from app.db.direct import DirectConnection
from tests.support.ways import counted_ways

SELECT = "SELECT n::text FROM seen ORDER BY n"
NOTE = "INSERT INTO seen VALUES ($1::INTEGER)"


def connected(url: str, **more: Any) -> DirectConnection:
    return DirectConnection.connect(
        make_url(url).set(drivername="postgresql").render_as_string(hide_password=False), **more
    )


@pytest.fixture
def direct(postgres_url: str) -> Iterator[DirectConnection]:
    with connected(postgres_url) as connection:
        connection.execute("CREATE TABLE seen (n INTEGER UNIQUE)")
        connection.commit()
        yield connection
        connection.rollback()
        connection.execute("DROP TABLE seen")


def seen(direct: DirectConnection) -> list[str]:
    return [text for (text,) in direct.ask(SELECT).fetchall()]


def test_it_begins_a_transaction_and_ends_it(direct: DirectConnection) -> None:
    direct.ask(NOTE, (1,))
    assert direct.info.transaction_status.name == "INTRANS"
    direct.rollback()
    direct.ask(NOTE, (2,))
    direct.commit()
    assert direct.info.transaction_status.name == "IDLE"
    assert seen(direct) == ["2"]


def test_one_that_commits_by_itself_begins_none(direct: DirectConnection, postgres_url: str) -> None:
    with connected(postgres_url, autocommit=True) as other:
        other.ask(NOTE, (1,))
        assert other.info.transaction_status.name == "IDLE"
    assert seen(direct) == ["1"]


def test_what_is_told_goes_the_same_way_as_what_is_asked_next(direct: DirectConnection) -> None:
    with counted_ways() as ways:
        told = direct.tell(NOTE, (1,))
        direct.tell(NOTE, (2,))
        assert ways == []
        assert seen(direct) == ["1", "2"]
        assert told.rowcount == 1
        assert len(ways) == 1


def test_what_is_told_last_goes_the_same_way_as_the_commit(direct: DirectConnection) -> None:
    with counted_ways() as ways:
        direct.tell(NOTE, (1,))
        direct.commit()
        assert len(ways) == 1
        direct.commit()
        assert len(ways) == 1
    direct.rollback()
    assert seen(direct) == ["1"]


def test_who_wants_to_know_what_came_of_it_waits_for_it(direct: DirectConnection) -> None:
    told = direct.tell("SELECT $1::INTEGER", (7,))
    assert told.fetchone() == (7,)
    assert told.rowcount == 1


def test_what_has_come_is_there_whatever_becomes_of_the_connection(postgres_url: str) -> None:
    with connected(postgres_url) as direct:
        told = direct.tell("SELECT $1::INTEGER", (7,))
        direct.commit()
    assert direct.closed
    assert told.fetchall() == [(7,)]


def test_what_is_undone_before_it_is_sent_is_never_sent(direct: DirectConnection) -> None:
    with counted_ways() as ways:
        told = direct.tell(NOTE, (1,))
        direct.rollback()
        assert ways == []
    with pytest.raises(psycopg.InterfaceError):
        told.fetchone()
    assert seen(direct) == []


def test_a_cursor_finds_what_was_told(direct: DirectConnection) -> None:
    direct.tell(NOTE, (1,))
    assert direct.execute("SELECT count(*) FROM seen").fetchone() == (1,)


def test_what_is_wrong_with_what_was_told_is_raised_where_it_is_sent(direct: DirectConnection) -> None:
    direct.ask(NOTE, (1,))
    direct.commit()
    direct.tell(NOTE, (2,))
    direct.tell(NOTE, (1,))
    direct.tell(NOTE, (3,))
    with pytest.raises(psycopg.errors.UniqueViolation):
        direct.commit()
    direct.rollback()
    assert seen(direct) == ["1"]


def test_nothing_is_done_after_what_was_refused_until_it_is_undone(direct: DirectConnection) -> None:
    with pytest.raises(psycopg.errors.DivisionByZero):
        direct.ask("SELECT 1 / $1::INTEGER", (0,))
    with pytest.raises(psycopg.errors.InFailedSqlTransaction):
        direct.ask(NOTE, (1,))
    direct.rollback()
    direct.ask(NOTE, (2,))
    direct.commit()
    assert seen(direct) == ["2"]


def test_what_was_refused_and_not_undone_is_not_committed(direct: DirectConnection) -> None:
    direct.ask(NOTE, (1,))
    with pytest.raises(psycopg.errors.DivisionByZero):
        direct.ask("SELECT 1 / $1::INTEGER", (0,))
    with pytest.raises(psycopg.errors.InFailedSqlTransaction):
        direct.commit()
    assert seen(direct) == []


def test_one_that_commits_by_itself_goes_on_after_a_refusal(postgres_url: str) -> None:
    with connected(postgres_url, autocommit=True) as direct:
        for _ in range(2):
            with pytest.raises(psycopg.errors.DivisionByZero):
                direct.ask("SELECT 1 / $1::INTEGER", (0,))
            assert direct.ask("SELECT 1 / $1::INTEGER", (1,)).fetchone() == (1,)
        with pytest.raises(psycopg.errors.SyntaxError):
            direct.ask("SELEC 1")
        assert direct.ask("SELECT 1 / $1::INTEGER", (1,)).fetchone() == (1,)


def test_a_statement_is_prepared_once_and_stays_so(direct: DirectConnection) -> None:
    for n in range(5):
        direct.ask(NOTE, (n,))
        (direct.commit if n % 2 else direct.rollback)()
    prepared = "SELECT count(*), count(DISTINCT statement) FROM pg_prepared_statements WHERE statement = $1::TEXT"
    assert direct.ask(prepared, (NOTE,)).fetchone() == (1, 1)
    assert seen(direct) == ["1", "3"]


def test_what_was_prepared_before_a_refusal_is_known(direct: DirectConnection) -> None:
    with pytest.raises(psycopg.errors.DivisionByZero):
        direct.ask("SELECT 1 / $1::INTEGER", (0,))
    direct.rollback()
    for n in range(2):
        direct.ask("SELECT 10 + $1::INTEGER", (n,))
        assert direct.ask("SELECT 1 / $1::INTEGER", (1,)).fetchone() == (1,)


@pytest.mark.parametrize("value", ["", "100 % $1 %(a)s ä \U0001f98a \\ ' \"", "x" * 3_000_000])
def test_text_comes_back_as_it_went_there(direct: DirectConnection, value: str) -> None:
    assert direct.ask("SELECT $1::TEXT", (value,)).fetchone() == (value,)


def test_values_come_back_as_they_went_there(direct: DirectConnection) -> None:
    values = (None, True, False, 0, -(2**31), 2**62, 1.5)
    asked = "SELECT $1::TEXT, $2::BOOLEAN, $3::BOOLEAN, $4::INTEGER, $5::INTEGER, $6::BIGINT, $7::FLOAT"
    assert direct.ask(asked, values).fetchone() == values


def test_text_with_a_nul_is_refused_and_nothing_is_left_of_it(direct: DirectConnection) -> None:
    direct.tell(NOTE, (1,))
    with pytest.raises(psycopg.DataError):
        direct.ask("SELECT $1::TEXT", ("a\0b",))
    direct.commit()
    assert seen(direct) == ["1"]


def test_nothing_is_said_over_one_that_was_left_in_the_middle_of_an_answer(postgres_url: str) -> None:
    direct = connected(postgres_url)
    with patch.object(direct, "wait", side_effect=KeyboardInterrupt), pytest.raises(KeyboardInterrupt):
        direct.ask("SELECT 1")
    for use in (lambda: direct.ask("SELECT 2"), direct.commit, direct.rollback, direct.cursor):
        with pytest.raises(psycopg.OperationalError):
            use()
    direct.close()


@pytest.mark.parametrize("together", [True, False])
def test_a_connection_that_the_server_ended_says_so(
    direct: DirectConnection, postgres_url: str, together: bool
) -> None:
    with connected(postgres_url, autocommit=True) as other:
        other.ask(SELECT)
        pid = other.info.backend_pid
        assert direct.ask("SELECT pg_terminate_backend($1::INTEGER, 10000)", (pid,)).fetchone() == (True,)
        if together:
            other.tell(NOTE, (1,))
        with pytest.raises(psycopg.OperationalError):
            other.ask(SELECT)
        with pytest.raises(psycopg.OperationalError):
            other.ask(SELECT)
        with pytest.raises(psycopg.OperationalError):
            other.rollback()
