from __future__ import annotations

import threading
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import closing, suppress
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import text
from sqlalchemy.exc import DBAPIError

from app.db.engine import Database, Transaction
from app.domain.errors import Unavailable

Commit = Callable[[], Any]


@pytest.fixture
def commits() -> list[Commit]:
    """Those that were made."""
    return []


@pytest.fixture
def database(tmp_path: Path, commits: list[Commit]) -> Database:
    def commit(work: Commit) -> Any:
        commits.append(work)
        return work()

    database = Database(f"sqlite:///{tmp_path / 'a.db'}", commit)
    database.write(lambda tx: tx.connection.execute(text("CREATE TABLE seen (n INTEGER PRIMARY KEY)")))
    return database


def note(tx: Transaction, n: int) -> int:
    tx.connection.execute(text("INSERT INTO seen VALUES (:n)"), {"n": n})
    return n


def seen(database: Database) -> list[int]:
    return database.read(lambda c: list(c.execute(text("SELECT n FROM seen ORDER BY n")).scalars()))


class Crowd:
    """Writes that come while another is at it, so that they wait together."""

    def __init__(self, database: Database) -> None:
        self.database = database
        self.begun, self.go_on = threading.Event(), threading.Event()

    def first(self, tx: Transaction) -> None:
        self.begun.set()
        assert self.go_on.wait(30)
        note(tx, 0)

    def come(self, pool: ThreadPoolExecutor, *works: Callable[[Transaction], Any]) -> list[Any]:
        """What came of each; where it raised, that."""
        ahead = pool.submit(self.database.write, self.first)
        assert self.begun.wait(30)
        waiting = self.database._writing.waiting  # type: ignore[union-attr]
        futures: list[Future[Any]] = []
        for place, work in enumerate(works, start=1):
            futures.append(pool.submit(self.database.write, work))
            while len(waiting) < place:
                threading.Event().wait(0.001)
        self.go_on.set()
        ahead.result(30)
        return [future.exception(30) or future.result(30) for future in futures]


def test_writes_that_wait_together_are_committed_together(database: Database, commits: list[Commit]) -> None:
    commits.clear()
    with closing(database), ThreadPoolExecutor(8) as pool:
        came = Crowd(database).come(pool, *(lambda tx, n=n: note(tx, n) for n in range(1, 6)))
    assert came == [1, 2, 3, 4, 5]
    assert seen(database) == [0, 1, 2, 3, 4, 5]
    assert len(commits) == 2


def test_one_that_fails_is_undone_alone(database: Database) -> None:
    def fails(tx: Transaction) -> None:
        note(tx, 3)
        raise KeyError("no")

    with closing(database), ThreadPoolExecutor(8) as pool:
        came = Crowd(database).come(pool, lambda tx: note(tx, 1), fails, lambda tx: note(tx, 2))
    assert [came[0], came[2]] == [1, 2]
    assert isinstance(came[1], KeyError)
    assert seen(database) == [0, 1, 2]


def test_who_writes_alone_and_fails_leaves_nothing_and_harms_no_later_one(database: Database) -> None:
    def fails(tx: Transaction) -> None:
        note(tx, 1)
        raise KeyError("no")

    def breaks(tx: Transaction) -> None:
        note(tx, 2)
        driver: Any = tx.connection.connection.driver_connection
        driver.close()
        note(tx, 3)

    with closing(database):
        for work, error in ((fails, KeyError), (breaks, DBAPIError)):
            with pytest.raises(error):
                database.write(work)
            assert seen(database) == []
            database.write(lambda tx: note(tx, 0))
            database.write(lambda tx: tx.connection.execute(text("DELETE FROM seen")))


def test_where_all_is_undone_nobody_is_told_otherwise(database: Database) -> None:
    def undoes_all(tx: Transaction) -> None:
        tx.connection.execute(text("ROLLBACK"))
        raise KeyError("no")

    with closing(database), ThreadPoolExecutor(8) as pool:
        came = Crowd(database).come(pool, lambda tx: note(tx, 1), undoes_all, lambda tx: note(tx, 2))
    assert isinstance(came[0], Unavailable)
    assert isinstance(came[1], KeyError)
    assert isinstance(came[2], Unavailable)
    assert seen(database) == [0]


def test_what_is_left_for_after_the_commit_is_done_after_the_commit_of_all(database: Database) -> None:
    at_hand: list[list[int]] = []

    def asks(tx: Transaction, n: int) -> None:
        note(tx, n)
        tx.after_commit(lambda: at_hand.append(seen(database)))

    with closing(database), ThreadPoolExecutor(8) as pool:
        Crowd(database).come(pool, lambda tx: asks(tx, 1), lambda tx: asks(tx, 2))
    assert at_hand == [[0, 1, 2], [0, 1, 2]]


def open_files() -> set[str]:
    """Of this process; those that nobody else can see among them."""
    names = set()
    for descriptor in Path("/proc/self/fd").iterdir():
        with suppress(OSError):  # it was closed meanwhile
            names.add(str(descriptor.readlink()))
    return names


def test_what_one_of_them_would_undo_is_kept_in_memory(database: Database) -> None:
    def change(tx: Transaction) -> set[str]:
        tx.connection.execute(text("UPDATE large SET content = randomblob(3000)"))
        return open_files()

    def fill(tx: Transaction) -> None:
        tx.connection.execute(text("CREATE TABLE large (content BLOB)"))
        for _ in range(60):
            tx.connection.execute(text("INSERT INTO large VALUES (randomblob(3000))"))

    database.write(fill)
    with closing(database), ThreadPoolExecutor(8) as pool:
        opened = Crowd(database).come(pool, change, change)
    assert [name for names in opened for name in names if "etilqs" in name] == []  # as SQLite calls its files
