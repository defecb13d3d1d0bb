"""A PostgreSQL that is connected and says nothing: everything is acknowledged, nothing is answered."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import closing

import pytest
from sqlalchemy import make_url, text

from app.db import postgres, statement_deadline
from app.db.engine import Database, Transaction, migration_engine
from app.domain.errors import Unavailable
from tests.support.silent_relay import SilentRelay, silent_relay
from tests.support.under_gevent import run_under_gevent

SHORT_S = 0.3


@pytest.fixture
def relay(postgres_url: str) -> Iterator[SilentRelay]:
    with silent_relay(f"{make_url(postgres_url).query['host']}/.s.PGSQL.5432") as relay:
        yield relay


@pytest.fixture
def url(postgres_url: str, relay: SilentRelay) -> str:
    """The URL of the database behind the relay."""
    behind = make_url(postgres_url).set(host="127.0.0.1", port=relay.port, query={"connect_timeout": "2"})
    return behind.render_as_string(hide_password=False)


@pytest.fixture
def database(url: str, monkeypatch: pytest.MonkeyPatch) -> Iterator[Database]:
    monkeypatch.setattr(statement_deadline, "STATEMENT_TIMEOUT_S", SHORT_S)
    with closing(Database(url)) as database:
        yield database


def one(database: Database) -> int:
    return database.read(lambda c: int(c.execute(text("SELECT 1")).scalar_one()))


def test_a_query_that_is_not_answered_is_unavailable_and_its_connection_is_given_up(
    database: Database, relay: SilentRelay
) -> None:
    assert one(database) == 1
    relay.fall_silent()
    with pytest.raises(Unavailable):
        one(database)
    with pytest.raises(Unavailable):  # a new connection is not answered either
        one(database)
    relay.speak()
    assert one(database) == 1


@pytest.mark.parametrize("silent_before", ["statement", "commit"])
def test_a_transaction_that_is_not_answered_runs_once(
    database: Database, relay: SilentRelay, silent_before: str
) -> None:
    runs: list[str] = []

    def work(tx: Transaction) -> None:
        runs.append(silent_before)
        tx.connection.execute(text("SELECT 1"))
        relay.fall_silent()
        if silent_before == "statement":
            tx.connection.execute(text("SELECT 2"))

    with pytest.raises(Unavailable):
        database.write(work)
    assert len(runs) == 1
    relay.speak()
    assert database.write(lambda tx: tx.connection.execute(text("SELECT 3")).scalar_one()) == 3


def test_a_statement_that_takes_too_long_is_given_up(database: Database) -> None:
    with pytest.raises(Unavailable):
        database.read(lambda c: c.execute(text("SELECT pg_sleep(60)")).scalar_one())
    assert one(database) == 1


def test_a_migration_may_take_any_time(url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(statement_deadline, "STATEMENT_TIMEOUT_S", 0.01)
    engine = migration_engine(url)
    with engine.begin() as connection:
        connection.execute(text("SELECT pg_sleep(0.1)"))
    engine.dispose()


def test_the_waits_of_a_request_add_up_to_less_than_10_seconds() -> None:
    assert postgres.POOL_TIMEOUT_S + statement_deadline.STATEMENT_TIMEOUT_S < 10


def test_under_gevent_other_greenlets_run_while_a_statement_is_not_answered(url: str, relay: SilentRelay) -> None:
    program = """
        import sys
        import gevent
        from sqlalchemy import text
        from app.db import statement_deadline
        from app.db.engine import Database
        from app.domain.errors import Unavailable

        statement_deadline.STATEMENT_TIMEOUT_S = 1.0
        database, ticks = Database(sys.argv[1]), []

        def query():
            try:
                return database.read(lambda c: c.execute(text("SELECT pg_sleep(60)")).scalar_one())
            except Unavailable as error:
                return type(error).__name__

        def tick():
            while True:
                ticks.append(1)
                gevent.sleep(0.01)

        ticking, waiting = gevent.spawn(tick), [gevent.spawn(query) for _ in range(5)]
        print([each.get(timeout=30) for each in waiting], len(ticks) > 5)
    """
    output, problems = run_under_gevent(program, argument=url)
    assert (output, problems) == (f"{['Unavailable'] * 5} True\n", "")
