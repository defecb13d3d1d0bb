"""The database of one process: reads and units of work. `sqlite.py`, `postgres.py` and `clock.py` contain what differs
between SQLite and PostgreSQL."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any, TypeVar

from sqlalchemy import URL, Connection, Engine, Table, bindparam, func, make_url, select
from sqlalchemy.dialects import postgresql as postgresql_dialect
from sqlalchemy.dialects import sqlite as sqlite_dialect

from app import logs
from app.db import clock, postgres, sqlite
from app.db.clock import now_ms
from app.db.retries import retried

T = TypeVar("T")

log = logs.get(__name__)

LOCAL_LOCKS = 1_024  # two names may share a lock, which does no harm

# The columns are evaluated in order: this is the time at which the lock was granted.
_LOCK = select(
    func.pg_advisory_xact_lock(func.hashtext(bindparam("scope")), func.hashtext(bindparam("name"))),
    now_ms().label("now"),
)

_TRY_LOCK = select(func.pg_try_advisory_xact_lock(func.hashtext(bindparam("scope")), func.hashtext(bindparam("name"))))


class Transaction:
    """One unit of work: its connection, its time, and the actions that follow its commit."""

    def __init__(self, connection: Connection) -> None:
        self.connection = connection
        self._now: int | None = None
        self._collected: dict[str, tuple[Callable[[list[Any]], object], list[Any]]] = {}
        self._after_commit: list[Callable[[], object]] = []

    @property
    def now(self) -> int:
        """The database's time in ms, read once for each transaction."""
        if self._now is None:
            # SQLite would read the clock of this machine, too
            self._now = time.time_ns() // 1_000_000 if self.writes_alone else clock.now(self.connection)
        return self._now

    @property
    def writes_alone(self) -> bool:
        """True if no other transaction can write before this one ends: SQLite has one writer at a time."""
        return self.connection.dialect.name == "sqlite"

    def upsert(self, table: Table) -> Any:
        """An INSERT into `table` that accepts `on_conflict_do_nothing` and `on_conflict_do_update`."""
        dialect = sqlite_dialect if self.writes_alone else postgresql_dialect
        return dialect.insert(table)

    def lock(self, scope: str, name: str) -> None:
        """Hold this lock until the transaction ends. `now` is not earlier than the moment it was acquired."""
        if not self.writes_alone:
            self._now = self.connection.execute(_LOCK, {"scope": scope, "name": name}).one().now

    def try_lock(self, scope: str, name: str) -> bool:
        """Hold this lock until the transaction ends, if no other transaction holds it; False if one does."""
        values = {"scope": scope, "name": name}
        return self.writes_alone or bool(self.connection.execute(_TRY_LOCK, values).scalar_one())

    def before_commit(self, name: str, value: object, action: Callable[[list[Any]], object]) -> None:
        """At the end of the transaction, call `action` once for each name, with all values that were given for it.

        In the order of the names: transactions that lock rows by them cannot deadlock. The first action of a name counts.
        """
        self._collected.setdefault(name, (action, []))[1].append(value)

    def run_before_commit(self) -> None:
        """Run the actions. An error fails the transaction."""
        for name in sorted(self._collected):
            action, values = self._collected[name]
            action(values)

    def after_commit(self, action: Callable[[], object]) -> None:
        """Run `action` after the commit, in the order of these calls; not if the transaction fails."""
        self._after_commit.append(action)

    def run_after_commit(self) -> None:
        """Run the actions. An error is only logged: the transaction is committed, and the other actions must run."""
        for action in self._after_commit:
            try:
                action()
            except Exception:
                log.exception("An action after a commit failed", action="database.after_commit")


class Database:
    """Reads and writes of one process."""

    def __init__(self, url: str) -> None:
        self.reader, self.writer = read_engine(url), write_engine(url)
        self._locks = [threading.Lock() for _ in range(LOCAL_LOCKS)]

    def read(self, work: Callable[[Connection], T]) -> T:
        """Run `work`, which changes nothing. Each of its queries sees what was committed before it.

        `work` may run more than once. Raises Unavailable.
        """

        def attempt() -> T:
            with self.reader.connect() as connection:
                return work(connection)

        return retried(attempt)

    def write(self, work: Callable[[Transaction], T]) -> T:
        """Run `work` in one transaction and commit, then run its after-commit actions.

        `work` may run more than once, but only one run is committed. Raises Unavailable.
        """

        def attempt() -> tuple[Transaction, T]:
            with self.writer.begin() as connection:
                transaction = Transaction(connection)
                result = work(transaction)
                transaction.run_before_commit()
                return transaction, result

        transaction, result = retried(attempt)
        transaction.run_after_commit()
        return result

    @contextmanager
    def local_lock(self, name: str) -> Iterator[None]:
        """Hold a lock of this process by name, without a connection.

        Transactions that wait for a lock in PostgreSQL keep their connections, and could exhaust the pool.
        """
        if self.writer.dialect.name == "sqlite":  # it has one writer at a time anyway
            yield
            return
        with self._locks[hash(name) % len(self._locks)]:
            yield

    def close(self) -> None:
        """Close every connection that is not in use."""
        self.reader.dispose()
        self.writer.dispose()


def read_engine(url: str) -> Engine:
    """An engine for queries. For SQLite the folder of the file is created."""
    parsed = make_url(url)
    return sqlite.read_engine(parsed) if _is_sqlite(parsed) else postgres.read_engine(parsed)


def write_engine(url: str) -> Engine:
    """An engine for transactions. For SQLite the folder of the file is created."""
    parsed = make_url(url)
    return sqlite.write_engine(parsed) if _is_sqlite(parsed) else postgres.write_engine(parsed)


def migration_engine(url: str) -> Engine:
    """As `write_engine`; no deadline ends its statements."""
    parsed = make_url(url)
    return sqlite.write_engine(parsed) if _is_sqlite(parsed) else postgres.migration_engine(parsed)


def report_engine(url: str) -> Engine:
    """An engine for queries that take minutes, and whose rows are read as slowly as they are used."""
    parsed = make_url(url)
    return sqlite.read_engine(parsed) if _is_sqlite(parsed) else postgres.report_engine(parsed)


def _is_sqlite(url: URL) -> bool:
    return url.get_backend_name() == "sqlite"
