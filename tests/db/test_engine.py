"""The unit of work, and the connections to PostgreSQL."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from typing import Any

import pytest
from psycopg.pq import TransactionStatus
from sqlalchemy import Connection, text
from sqlalchemy.exc import DBAPIError, IntegrityError
from structlog.testing import capture_logs

from app.db import postgres
from app.db.engine import Database, Transaction
from app.domain.errors import Unavailable
from tests.support.under_gevent import run_under_gevent


@pytest.fixture
def on_postgres(postgres_url: str) -> Iterator[Database]:
    with closing(Database(postgres_url)) as database:
        database.write(lambda tx: tx.connection.execute(text("DROP TABLE IF EXISTS seen")))
        unique = "CREATE TABLE seen (n INTEGER UNIQUE DEFERRABLE INITIALLY DEFERRED)"
        database.write(lambda tx: tx.connection.execute(text(unique)))
        yield database


def note(tx: Transaction, n: int = 1) -> None:
    tx.connection.execute(text("INSERT INTO seen VALUES (:n)"), {"n": n})


def seen(database: Database) -> list[int]:
    return database.read(lambda c: list(c.execute(text("SELECT n FROM seen ORDER BY n")).scalars()))


def pid(connection: Connection) -> int:
    """The process ID of PostgreSQL's backend for this connection."""
    return int(connection.exec_driver_sql("SELECT pg_backend_pid()").scalar_one())


def writer_pid(database: Database) -> int:
    return database.write(lambda tx: pid(tx.connection))


def end(database: Database, process: int) -> None:
    """Terminate a backend of PostgreSQL, and wait until it has ended."""
    ended = f"SELECT pg_terminate_backend({process}, 10000)"
    assert database.read(lambda c: c.exec_driver_sql(ended).scalar_one())


# -- actions after the commit


def test_an_action_runs_after_the_commit(on_postgres: Database) -> None:
    found: list[list[int]] = []

    def work(tx: Transaction) -> None:
        note(tx)
        tx.after_commit(lambda: found.append(seen(on_postgres)))

    on_postgres.write(work)
    assert found == [[1]]


def test_what_is_to_be_done_before_the_commit_is_done_once_for_each_name_in_their_order(database: Database) -> None:
    done: list[object] = []

    def work(tx: Transaction) -> None:
        tx.after_commit(lambda: done.append("committed"))
        for name, value in (("b", 1), ("a", 2), ("b", 3)):
            tx.before_commit(name, value, done.append)
        done.append("worked")

    database.write(work)
    assert done == ["worked", [2], [1, 3], "committed"]


def test_a_failing_action_is_logged_and_neither_stops_others_nor_fails_the_request(database: Database) -> None:
    done: list[str] = []

    def fails() -> None:
        raise KeyError("not there")

    def work(tx: Transaction) -> str:
        for action in (lambda: done.append("first"), fails, lambda: done.append("last")):
            tx.after_commit(action)
        return "committed"

    with capture_logs() as lines:
        assert database.write(work) == "committed"
    assert done == ["first", "last"]
    [line] = lines
    assert (line["action"], line["log_level"], line["exc_info"]) == ("database.after_commit", "error", True)


def test_no_action_runs_after_a_failed_transaction(database: Database) -> None:
    done: list[str] = []

    def work(tx: Transaction) -> None:
        tx.after_commit(lambda: done.append("done"))
        raise KeyError("no")

    with pytest.raises(KeyError):
        database.write(work)
    assert done == []


# -- transactions


def test_a_failed_transaction_is_rolled_back_and_keeps_its_connection(on_postgres: Database) -> None:
    def fails(tx: Transaction) -> None:
        note(tx)
        raise KeyError("no")

    before = writer_pid(on_postgres)
    with pytest.raises(KeyError):
        on_postgres.write(fails)
    assert seen(on_postgres) == []
    assert writer_pid(on_postgres) == before


def test_a_failed_commit_raises_its_error(on_postgres: Database) -> None:
    def twice(tx: Transaction) -> None:
        note(tx)
        note(tx)

    with pytest.raises(IntegrityError):
        on_postgres.write(twice)
    assert seen(on_postgres) == []


def test_after_a_deadlock_the_transaction_that_postgresql_rolled_back_runs_again(on_postgres: Database) -> None:
    on_postgres.write(lambda tx: note(tx, 1))
    on_postgres.write(lambda tx: note(tx, 2))
    both = threading.Barrier(2)
    runs: list[int] = []

    def lock(tx: Transaction, n: int) -> None:
        tx.connection.execute(text("SELECT n FROM seen WHERE n = :n FOR UPDATE"), {"n": n})

    def cross(first: int, second: int) -> None:
        def work(tx: Transaction) -> None:
            runs.append(first)
            lock(tx, first)
            if runs.count(first) == 1:
                both.wait(30)
            lock(tx, second)

        on_postgres.write(work)

    with ThreadPoolExecutor(2) as pool:
        for crossed in [pool.submit(cross, 1, 2), pool.submit(cross, 2, 1)]:
            crossed.result(60)
    assert sorted(runs) in ([1, 1, 2], [1, 2, 2])


def test_the_time_of_a_transaction_that_waited_for_a_lock_is_after_the_wait(on_postgres: Database) -> None:
    locked, go_on = threading.Event(), threading.Event()

    def first(tx: Transaction) -> None:
        tx.lock("test", "one")
        locked.set()
        assert go_on.wait(30)

    def second(tx: Transaction) -> int:
        assert tx.now
        tx.lock("test", "one")
        return tx.now

    def waits(connection: Connection) -> bool:
        return bool(connection.exec_driver_sql("SELECT count(*) FROM pg_locks WHERE NOT granted").scalar_one())

    with ThreadPoolExecutor(2) as pool:
        holds = pool.submit(on_postgres.write, first)
        assert locked.wait(30)
        waiting = pool.submit(on_postgres.write, second)
        while not on_postgres.read(waits):
            pass
        before = on_postgres.read(postgres_now)
        go_on.set()
        holds.result(30)
        assert waiting.result(30) >= before


def postgres_now(connection: Connection) -> int:
    return int(connection.exec_driver_sql("SELECT extract(epoch FROM clock_timestamp()) * 1000").scalar_one())


# -- connections that break


def test_a_connection_closed_by_postgresql_is_replaced(on_postgres: Database) -> None:
    before = on_postgres.read(pid), writer_pid(on_postgres)
    with closing(Database(on_postgres.reader.url.render_as_string(hide_password=False))) as other:
        for process in before:
            end(other, process)
    after = on_postgres.read(pid), writer_pid(on_postgres)
    assert not set(before) & set(after)


def test_work_whose_connection_breaks_before_its_commit_runs_again(on_postgres: Database) -> None:
    runs: list[int] = []

    def work(tx: Transaction) -> None:
        runs.append(pid(tx.connection))
        note(tx)
        if len(runs) == 1:
            end(on_postgres, runs[0])
        note(tx, 2)

    on_postgres.write(work)
    assert len(set(runs)) == len(runs) == 2
    assert seen(on_postgres) == [1, 2]


def test_work_whose_connection_breaks_during_its_commit_does_not_run_again(on_postgres: Database) -> None:
    """The transaction may have been committed."""
    runs: list[int] = []

    def work(tx: Transaction) -> None:
        runs.append(pid(tx.connection))
        end(on_postgres, runs[-1])

    with pytest.raises(Unavailable):
        on_postgres.write(work)
    assert len(runs) == 1


def test_killed_work_closes_its_connection(on_postgres: Database) -> None:
    killed: list[int] = []

    def work(tx: Transaction) -> None:
        killed.append(pid(tx.connection))
        note(tx)
        raise SystemExit

    with pytest.raises(SystemExit):
        on_postgres.write(work)
    assert seen(on_postgres) == []


def test_a_request_that_gets_no_connection_in_time_is_refused(
    postgres_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(postgres, "POOL_TIMEOUT_S", 0.05)
    release, busy = threading.Event(), threading.Semaphore(0)

    def hold(connection: Connection) -> int:
        busy.release()
        assert release.wait(60)
        return pid(connection)

    with closing(Database(postgres_url)) as database, ThreadPoolExecutor(postgres.CONNECTIONS) as pool:
        held = [pool.submit(database.read, hold) for _ in range(postgres.CONNECTIONS)]
        for _ in held:
            assert busy.acquire(timeout=60)
        with pytest.raises(Unavailable):
            database.read(pid)
        release.set()
        used = {each.result(60) for each in held}
        assert len(used) == postgres.CONNECTIONS
        assert database.read(pid) in used


# -- settings


def test_a_query_to_postgresql_is_one_round_trip(on_postgres: Database) -> None:
    def status(connection: Connection) -> TransactionStatus:
        connection.exec_driver_sql("SELECT 1")
        driver: Any = connection.connection.driver_connection
        return TransactionStatus(driver.info.transaction_status)

    assert on_postgres.read(status) is TransactionStatus.IDLE
    assert on_postgres.write(lambda tx: status(tx.connection)) is TransactionStatus.INTRANS


def setting(url: str, name: str) -> str:
    with closing(Database(url)) as database:
        return str(database.read(lambda connection: connection.exec_driver_sql(f"SHOW {name}").scalar_one()))


def test_a_lock_that_another_transaction_holds_is_not_waited_for(on_postgres: Database) -> None:
    def tried(tx: Transaction, name: str = "a") -> bool:
        return tx.try_lock("scope", name)

    def held(tx: Transaction) -> list[bool]:
        assert tried(tx)
        assert tried(tx), "its own"
        return [on_postgres.write(tried), on_postgres.write(lambda other: tried(other, "b"))]

    assert on_postgres.write(held) == [False, True]
    assert on_postgres.write(tried)


def test_an_idle_transaction_does_not_hold_its_locks_for_long(postgres_url: str) -> None:
    assert setting(postgres_url, "idle_in_transaction_session_timeout") == "5s"


def test_transactions_use_indexes_and_queries_may_sort(on_postgres: Database, postgres_url: str) -> None:
    show = "SHOW enable_sort"
    assert on_postgres.write(lambda tx: tx.connection.exec_driver_sql(show).scalar_one()) == "off"
    assert setting(postgres_url, "enable_sort") == "on"


def parameters(database: Database) -> dict[str, str]:
    """The parameters of the connection."""

    def of(connection: Connection) -> dict[str, str]:
        driver: Any = connection.connection.driver_connection
        return dict(driver.info.get_parameters())

    return database.read(of)


def test_a_silent_connection_is_closed(on_postgres: Database) -> None:
    given = parameters(on_postgres)
    assert (given["keepalives_idle"], given["tcp_user_timeout"], given["connect_timeout"]) == ("5", "10000", "3")


def test_the_operator_can_set_other_parameters(postgres_url: str) -> None:
    url = f"{postgres_url}&options=-c%20idle_in_transaction_session_timeout%3D60s&connect_timeout=9"
    assert setting(url, "idle_in_transaction_session_timeout") == "1min"
    with closing(Database(url)) as database:
        assert parameters(database)["connect_timeout"] == "9"


def test_errors_do_not_show_the_values_of_a_statement(database: Database) -> None:
    def fails(connection: Connection) -> None:
        with pytest.raises(DBAPIError, match="no_such_table") as caught:
            connection.execute(text("SELECT :value FROM no_such_table"), {"value": "a secret"})
        assert "a secret" not in str(caught.value)

    database.read(fails)


# -- under gevent

OPENED = """
import gevent, gevent.event, sys
from sqlalchemy import text
from app.db.engine import Database
from app.domain.errors import Unavailable

database = Database(sys.argv[1])

def query(statement):
    return database.read(lambda c: c.execute(text(statement)).scalar_one())

def alone(then):
    def work(tx):
        tx.lock("test", "one")
        return then()
    return database.write(work)

"""


def output_of(program: str, url: str) -> str:
    """The output of the program; it must write nothing to standard error."""
    output, problems = run_under_gevent(OPENED, program, argument=url)
    assert problems == ""
    return output


def test_under_gevent_a_wait_for_a_lock_does_not_block_the_loop(postgres_url: str) -> None:
    program = """
        inside, go_on = gevent.event.Event(), gevent.event.Event()
        first = gevent.spawn(alone, lambda: inside.set() or go_on.wait(60))
        assert inside.wait(30)
        second = gevent.spawn(alone, lambda: "second")
        while not query("SELECT count(*) FROM pg_stat_activity WHERE wait_event = 'advisory'"):
            gevent.sleep(0)
        print(second.ready(), query("SELECT 7"))
        go_on.set()
        print(first.get(timeout=30), second.get(timeout=30))
    """
    assert output_of(program, postgres_url) == "False 7\nTrue second\n"


def test_under_gevent_killed_greenlets_leave_the_pool_intact(postgres_url: str) -> None:
    program = """
        for steps in range(30):  # more than the pool has
            killed = gevent.spawn(query, "SELECT pg_sleep(5)")
            for _ in range(steps):
                gevent.sleep(0)
            killed.kill()
        print([query(f"SELECT {n}") for n in range(3)])
    """
    assert output_of(program, postgres_url) == "[0, 1, 2]\n"


def test_under_gevent_a_connection_that_ends_during_a_query_is_replaced(postgres_url: str) -> None:
    program = """
        sleeps = "FROM pg_stat_activity WHERE wait_event = 'PgSleep' AND query LIKE '%ended by another%'"
        waits = gevent.spawn(query, "SELECT 'done' FROM pg_sleep(1) -- ended by another")
        while not query(f"SELECT count(*) {sleeps}"):
            gevent.sleep(0)
        print(query(f"SELECT pg_terminate_backend(pid) {sleeps}"), waits.get(timeout=30), query("SELECT 1"))
    """
    assert output_of(program, postgres_url) == "True done 1\n"
