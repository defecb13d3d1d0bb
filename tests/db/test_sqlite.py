from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import Connection, text
from sqlalchemy.exc import DBAPIError

from app.db import sqlite
from app.db.engine import Database, Transaction
from app.domain.errors import Unavailable
from tests.support.under_gevent import run_under_gevent

SEEN = text("SELECT n FROM seen ORDER BY n")
NOTE = text("INSERT INTO seen VALUES (:n)")


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "a.db"


@pytest.fixture
def database(path: Path) -> Iterator[Database]:
    with closing(Database(f"sqlite:///{path}")) as database:
        database.write(lambda tx: tx.connection.execute(text("CREATE TABLE seen (n INTEGER)")))
        yield database


def note(tx: Transaction, n: int) -> None:
    tx.connection.execute(NOTE, {"n": n})


def seen(connection: Connection) -> list[int]:
    return list(connection.execute(SEEN).scalars())


def test_writers_of_one_process_take_turns(database: Database) -> None:
    def count_on(tx: Transaction) -> None:
        note(tx, len(seen(tx.connection)))

    with ThreadPoolExecutor(8) as pool:
        for written in [pool.submit(database.write, count_on) for _ in range(40)]:
            written.result(60)
    assert database.read(seen) == list(range(40))


def test_a_writer_waits_for_one_of_another_process(database: Database, path: Path) -> None:
    with closing(sqlite3.connect(path, isolation_level=None)) as other, ThreadPoolExecutor(1) as pool:
        other.execute("BEGIN IMMEDIATE")
        waits = pool.submit(database.write, lambda tx: note(tx, 1))
        with pytest.raises(TimeoutError):
            waits.result(0.1)
        other.execute("COMMIT")
        waits.result(30)
    assert database.read(seen) == [1]


def test_a_new_connection_for_writing_waits_for_an_exclusive_lock(path: Path) -> None:
    with (
        closing(sqlite3.connect(path, isolation_level=None, check_same_thread=False)) as other,
        closing(Database(f"sqlite:///{path}")) as database,
        ThreadPoolExecutor(1) as pool,
    ):
        other.execute("PRAGMA journal_mode=WAL")
        other.execute("PRAGMA locking_mode=EXCLUSIVE")
        other.execute("CREATE TABLE seen (n INTEGER)")
        waits = pool.submit(database.write, lambda tx: note(tx, 1))
        with pytest.raises(TimeoutError):
            waits.result(0.1)
        other.close()
        waits.result(30)
        assert database.read(seen) == [1]


def test_a_writer_gives_up_when_another_process_holds_the_lock_for_too_long(
    database: Database, path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sqlite, "LOCK_TIMEOUT_S", 0.05)
    with closing(sqlite3.connect(path, isolation_level=None)) as other:
        other.execute("BEGIN IMMEDIATE")
        with pytest.raises(Unavailable):
            database.write(lambda tx: note(tx, 1))
    database.write(lambda tx: note(tx, 2))
    assert database.read(seen) == [2]


def test_a_failed_write_leaves_nothing_and_does_not_affect_later_ones(database: Database) -> None:
    def fails(tx: Transaction) -> None:
        note(tx, 1)
        raise KeyError("no")

    def breaks(tx: Transaction) -> None:
        note(tx, 2)
        driver: Any = tx.connection.connection.driver_connection
        driver.close()
        note(tx, 3)

    for work, error in ((fails, KeyError), (breaks, DBAPIError)):
        with pytest.raises(error):
            database.write(work)
        assert database.read(seen) == []
        database.write(lambda tx: note(tx, 0))
        database.write(lambda tx: tx.connection.execute(text("DELETE FROM seen")))


def test_each_query_of_a_read_sees_what_was_committed_before_it(database: Database) -> None:
    def work(connection: Connection) -> tuple[list[int], list[int]]:
        before = seen(connection)
        database.write(lambda tx: note(tx, 1))
        return before, seen(connection)

    assert database.read(work) == ([], [1])


# -- under gevent

OPENED = """
import gevent, sqlite3, sys, threading
from sqlalchemy import event, text
from app.db.engine import Database

class Disk:
    def __init__(self):
        self.commit_begun, self._lock = threading.Event(), monkey.get_original("_thread", "allocate_lock")()
        self._watcher = gevent.get_hub().loop.async_()
        self._watcher.start(self.commit_begun.set)

    def stop(self):
        self._lock.acquire()

    def go_on(self):
        self._lock.release()

    def trace(self, statement):
        if statement == "COMMIT":
            self._watcher.send()
            with self._lock:
                pass

def note(n):
    database.write(lambda tx: tx.connection.execute(text("INSERT INTO seen VALUES (:n)"), {"n": n}))

def seen():
    return database.read(lambda c: list(c.execute(text("SELECT n FROM seen ORDER BY n")).scalars()))

database, disk = Database(f"sqlite:///{sys.argv[1]}"), Disk()
event.listen(database.writer, "connect", lambda connection, _: connection.set_trace_callback(disk.trace))
database.write(lambda tx: tx.connection.execute(text("CREATE TABLE seen (n INTEGER)")))
disk.commit_begun.clear()
"""


def ran(program: str, path: Path) -> tuple[str, str]:
    """Run the program under gevent; returns its output and its standard error."""
    return run_under_gevent(OPENED, program, argument=str(path))


def test_under_gevent_a_writer_that_waits_for_another_process_does_not_block_the_loop(path: Path) -> None:
    program = """
        other = sqlite3.connect(sys.argv[1], isolation_level=None)
        other.execute("BEGIN IMMEDIATE")
        writes = gevent.spawn(note, 1)
        for _ in range(20):
            gevent.sleep(0.001)
        print(seen())
        other.execute("COMMIT")
        writes.get(timeout=30)
        print(seen())
    """
    assert ran(program, path) == ("[]\n[1]\n", "")


def test_under_gevent_a_commit_that_waits_for_the_disk_does_not_block_the_loop(path: Path) -> None:
    program = """
        disk.stop()
        writes = gevent.spawn(note, 1)
        assert disk.commit_begun.wait(30)
        print(seen())
        disk.go_on()
        writes.get(timeout=30)
        print(seen())
    """
    assert ran(program, path) == ("[]\n[1]\n", "")


def test_under_gevent_a_write_killed_during_its_commit_does_not_affect_later_ones(path: Path) -> None:
    program = """
        disk.stop()
        killed = gevent.spawn(note, 1)
        assert disk.commit_begun.wait(30)
        gevent.spawn_later(0.05, disk.go_on)
        killed.kill()
        print(type(killed.value).__name__, seen())
        note(2)
        print(seen())
    """
    assert ran(program, path) == ("GreenletExit [1]\n[1, 2]\n", "")


def test_under_gevent_a_failed_commit_raises_and_prints_nothing(path: Path) -> None:
    program = """
        from sqlalchemy.exc import IntegrityError

        def refers_to_nothing(tx):
            tx.connection.execute(text("INSERT INTO orphans VALUES (7)"))

        parents = "CREATE TABLE parents (id INTEGER PRIMARY KEY)"
        orphans = "CREATE TABLE orphans (parent INTEGER REFERENCES parents DEFERRABLE INITIALLY DEFERRED)"
        for table in (parents, orphans):
            database.write(lambda tx: tx.connection.execute(text(table)))
        try:
            database.write(refers_to_nothing)
        except IntegrityError as error:
            print(error.orig)
        note(1)
        print(seen())
    """
    assert ran(program, path) == ("FOREIGN KEY constraint failed\n[1]\n", "")
