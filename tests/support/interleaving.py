"""Concurrent transactions: one changes a row between the read and the write of the other."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from typing import Any, TypeVar

import pytest
from sqlalchemy import Connection, text

from app.db.engine import Database, Transaction
from tests.support.waiting import until

T = TypeVar("T")

TIMEOUT_S = 30.0

# For tests that need two concurrent write transactions, which SQLite does not have.
on_postgresql = pytest.mark.parametrize("database_url", ["postgresql"], indirect=True)


@contextmanager
def changed_after_read(database: Database, change: Callable[[], object]) -> Iterator[None]:
    """Run `change` right after the next `database.read` inside the block. Fails if nothing was read."""
    pending = [change]
    read = database.read

    def reading(work: Callable[[Connection], T]) -> T:
        found = read(work)
        if pending:
            pending.pop()()
        return found

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(database, "read", reading)
        yield
    assert not pending, "nothing was read"


def overlapping(
    database: Database,
    first: Callable[[Transaction], T],
    second: Callable[[], Any],
    *,
    then: Callable[[Transaction], object] = bool,
) -> tuple[T, Any]:
    """Run `first` as one transaction and `second` meanwhile in another thread, until `second` waits for a lock of `first`.
    Then `first` goes on with `then` and commits.

    Returns both results. Fails if `second` ends without waiting for a lock.
    """
    with ThreadPoolExecutor(2) as pool:
        did, go_on = threading.Event(), threading.Event()

        def held_open(tx: Transaction) -> T:
            result = first(tx)
            tx.connection.execute(text("SELECT 1"))  # returns after all earlier statements were executed
            did.set()
            assert go_on.wait(TIMEOUT_S)
            then(tx)
            return result

        one = pool.submit(database.write, held_open)
        try:
            until(lambda: did.is_set() or one.done(), TIMEOUT_S, "the first transaction to do its work")
            other = pool.submit(second)
            await_lock(database, other)
        finally:
            go_on.set()
        return one.result(TIMEOUT_S), other.result(TIMEOUT_S)


def await_lock(database: Database, waiting: Future[Any]) -> None:
    """Return once a transaction of this PostgreSQL database waits for the lock of another. Fails if `waiting` ends first."""
    query = text(
        "SELECT count(*) FROM pg_stat_activity WHERE wait_event_type = 'Lock' AND datname = current_database()"
    )

    def is_waiting() -> bool:
        if waiting.done():
            raise AssertionError(
                f"it did not wait for a lock, but ended with {waiting.exception() or waiting.result()!r}"
            )
        return bool(database.read(lambda c: c.execute(query).scalar_one()))

    until(is_waiting, TIMEOUT_S, "a transaction to wait for a lock")
