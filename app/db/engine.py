"""The database. SQLite and PostgreSQL differ here, in its clock (`clock.py`), in how connections are kept (`kept.py`,
`lent.py`), in how writes are grouped (`grouping.py`), and in what is told them in one go (`direct.py`)."""

from __future__ import annotations

import sqlite3
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, TypeVar

from sqlalchemy import Connection, Engine, Table, bindparam, create_engine, event, func, make_url, select
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.exc import InterfaceError, OperationalError
from sqlalchemy.exc import TimeoutError as PoolTimeout
from sqlalchemy.pool import NullPool, QueuePool

from app.db import clock, json_values
from app.db.clock import now_ms
from app.db.grouping import Groups
from app.db.kept import Kept
from app.db.lent import Lent
from app.db.prepared import Prepared
from app.domain.errors import Unavailable

T = TypeVar("T")
Runner = Callable[[Callable[[], Any]], Any]

SQLITE_BUSY_MS = 10_000
IDLE_IN_TRANSACTION_MS = 5_000
TURNS = 1_024  # two names that fall on the same one wait for each other, which does no harm
# How long a connection to PostgreSQL that says nothing is believed in, in seconds (the last in ms); DATABASE_URL may say
# otherwise (https://www.postgresql.org/docs/current/libpq-connect.html#LIBPQ-PARAMKEYWORDS).
_PATIENCE = {
    "connect_timeout": 3,
    "keepalives_idle": 5,
    "keepalives_interval": 2,
    "keepalives_count": 3,
    "tcp_user_timeout": 10_000,
}
DEADLOCK_TRIES = 3

# What is selected is worked out in order, so this is the time at which the others had ended.
_ALONE = Prepared(
    select(func.pg_advisory_xact_lock(func.hashtext(bindparam("room")), func.hashtext(bindparam("name"))), now_ms())
)


class Transaction:
    """One write: its connection, its time, and what is to be done once it is committed."""

    def __init__(self, connection: Connection) -> None:
        self.connection = connection
        self._now: int | None = None
        self._alone: Callable[[], Sequence[Any] | None] | None = None
        self._afterwards: list[Callable[[], object]] = []

    @property
    def now(self) -> int:
        """The database's time in ms, read once a transaction."""
        if self._now is None:
            self._now = self._clock()
        return self._now

    @property
    def writes_alone(self) -> bool:
        """True where no other transaction writes before this one ends: SQLite's writers follow one another."""
        return self.connection.dialect.name == "sqlite"

    def _clock(self) -> int:
        if self.writes_alone:
            return time.time_ns() // 1_000_000  # SQLite has no clock of its own: it would ask this one
        alone = self._alone and self._alone()
        return int(alone[1]) if alone else clock.now(self.connection)

    def upsert(self, table: Table) -> Any:
        """An INSERT into `table` that can be told what to do on a conflict."""
        dialect = postgresql if self.connection.dialect.name == "postgresql" else sqlite
        return dialect.insert(table)

    def one_at_a_time(self, room: str, name: str) -> None:
        """What is asked from here on waits for every other transaction that is at this place (`name` in `room`), and those
        that come there later wait for this one."""
        if not self.writes_alone:
            self._alone = _ALONE.soon(self.connection, {"room": room, "name": name})

    def after_commit(self, action: Callable[[], object]) -> None:
        """Have `action` done after the commit, in the order given, and not at all where the transaction fails."""
        self._afterwards.append(action)

    def committed(self) -> None:
        """Do what was left for after the commit."""
        for action in self._afterwards:
            action()


def inline(work: Callable[[], T]) -> T:
    """Run database work where it is asked for: right for processes that serve nobody else meanwhile."""
    return work()


class Database:
    """Reads and writes.

    `committer` carries out SQLite's commits, which wait for the disk: off an event loop where they would hold it up.
    With one write at a time a process is also fair: SQLite lets whoever is lucky write next, and who has waited longest may
    go on waiting. Reads wait for nobody (https://sqlite.org/wal.html, section 2.2) and are over sooner than a thread could
    be woken, so they are done where they are asked for.
    """

    def __init__(self, url: str, committer: Runner = inline, *, green: bool = False) -> None:
        self.engine = make_engine(url, asks_only=True, green=green)
        self._is_sqlite = self.engine.dialect.name == "sqlite"
        self._asking: Kept | Lent
        self._writing: Groups | Lent
        if self._is_sqlite:
            self._asking, self._writing = Kept(self.engine), Groups(self.engine, committer)
        else:
            self._asking, self._writing = Lent(self.engine), Lent(make_engine(url, green=green))
        self._turns = [threading.Lock() for _ in range(TURNS)]

    def read(self, work: Callable[[Connection], T]) -> T:
        """Run `work`, which changes nothing, on one view of SQLite; PostgreSQL answers each question as things stand then.

        Raises Unavailable where the database cannot be reached.
        """
        return self._available(lambda: self._asking.ask(work))

    def ask(self, question: Callable[[Connection], T]) -> T:
        """As `read`, for one question alone."""
        return self._available(lambda: self._asking.ask(question, at_once=True))

    def write(self, work: Callable[[Transaction], T]) -> T:
        """Run `work` as one transaction, then what it left for after the commit.

        `work` may run more than once where the database broke a deadlock. Raises Unavailable where it cannot be reached.
        """

        def run(connection: Connection) -> tuple[Transaction, T]:
            transaction = Transaction(connection)
            return transaction, work(transaction)

        transaction, result = self._available(lambda: self._writing.carry_out(run))
        transaction.committed()
        return result

    @contextmanager
    def turn(self, name: str) -> Iterator[None]:
        """Wait for others of this process who have this name, and have no connection yet while waiting.

        Those who wait for a lock of PostgreSQL with a connection in hand can take all there are.
        """
        if self._is_sqlite:  # SQLite's writers follow one another, and share their commits where they wait
            yield
            return
        with self._turns[hash(name) % len(self._turns)]:
            yield

    def close(self) -> None:
        """Close every connection of this process that nobody uses."""
        for part in (self._asking, self._writing):
            part.close()
        self.engine.dispose()

    @staticmethod
    def _available(run: Callable[[], T]) -> T:
        for tries_left in reversed(range(DEADLOCK_TRIES)):
            try:
                return run()
            except (OperationalError, InterfaceError, PoolTimeout) as error:
                if _is_deadlock(error) and tries_left:
                    continue
                raise Unavailable(
                    "The database cannot be reached or is busy; try again shortly.", retry_after_s=2
                ) from error
        raise AssertionError("unreachable")


def _is_deadlock(error: Exception) -> bool:
    return getattr(getattr(error, "orig", None), "sqlstate", None) in {"40P01", "40001"}


def make_engine(url: str, *, asks_only: bool = False, green: bool = False) -> Engine:
    """An engine with this house's settings; for SQLite the folder of the file is created. With `green` who waits for PostgreSQL
    lets other greenlets run.

    With `asks_only` PostgreSQL is told neither BEGIN nor COMMIT, which would be two of three ways there and back of a
    question, for nothing: at its usual isolation each question in a transaction sees what was committed before it. Nor is
    SQLite: `Kept` and `Groups` say it themselves.
    """
    parsed = make_url(url)
    if parsed.get_backend_name() != "sqlite":
        patience = {name: value for name, value in _PATIENCE.items() if name not in parsed.query}
        engine = create_engine(
            parsed,
            poolclass=NullPool,  # `Lent` keeps them
            connect_args=patience,
            json_serializer=json_values.written,
            json_deserializer=json_values.read,
            isolation_level="AUTOCOMMIT" if asks_only else None,
        )
        event.listen(engine, "do_connect", _connect_green if green else _connect_directly)
        if not asks_only:
            event.listen(engine, "connect", _read_in_order)
        if "options" not in parsed.query:
            event.listen(engine, "connect", _let_nobody_hold_locks)
        return engine
    Path(parsed.database or "").resolve().parent.mkdir(parents=True, exist_ok=True)
    engine = create_engine(
        parsed,
        poolclass=QueuePool,
        pool_size=2,
        max_overflow=30,
        pool_reset_on_return=None,  # nothing is left to undo: every transaction has its `begin`
        connect_args={"check_same_thread": False},
        json_serializer=json_values.written,
        json_deserializer=json_values.read,
    )
    event.listen(engine, "connect", _prepare_sqlite)
    if not asks_only:
        event.listen(engine, "begin", _begin_sqlite)
    return engine


def _connect_green(_dialect: object, _record: object, args: Any, options: Any) -> Any:
    from app.db.green import GreenConnection  # noqa: PLC0415 - as below

    return GreenConnection.connect(*args, **options)


def _connect_directly(_dialect: object, _record: object, args: Any, options: Any) -> Any:
    from app.db.direct import DirectConnection  # noqa: PLC0415 - as below

    return DirectConnection.connect(*args, **options)


def _let_nobody_hold_locks(connection: Any, _: object) -> None:
    """A host that is cut off in the middle of a transaction would keep its locks for two hours, by the defaults of Linux.

    Said in the session, not with its start: poolers refuse what they do not know there.
    """
    _set(connection, "idle_in_transaction_session_timeout", IDLE_IN_TRANSACTION_MS)


def _read_in_order(connection: Any, _: object) -> None:
    """What a transaction asks in an order has an index in that order. Where PostgreSQL has counted few rows, it takes it for as
    good to read any other index to its end and to sort: as rows grow in number, so does each such question, until it counts again.

    Not for those who only ask: their lists are of whatever somebody wants to see, and some are better sorted.
    """
    _set(connection, "enable_sort", "off")


def _set(connection: Any, name: str, value: object) -> None:
    with connection.cursor() as cursor:
        cursor.execute(f"SET {name} = {value}")
    connection.commit()


def _prepare_sqlite(connection: Any, _: object) -> None:
    connection.isolation_level = None  # we say BEGIN ourselves: sqlite3 would say it too late, and deferred
    cursor = connection.cursor()
    for pragma in (
        f"busy_timeout={SQLITE_BUSY_MS}",
        "journal_mode=WAL",
        "synchronous=FULL",
        "temp_store=MEMORY",  # what a savepoint would undo went to a file: two thirds of what a shared commit wrote
        "foreign_keys=ON",
    ):
        cursor.execute(f"PRAGMA {pragma}")
    cursor.close()


def _begin_sqlite(connection: Connection) -> None:
    # A deferred transaction that reads first cannot wait for a writer: it fails at once, or loses an update.
    begin = "BEGIN IMMEDIATE" if connection.get_execution_options().get("write") else "BEGIN"
    driver: Any = connection.connection.driver_connection  # through SQLAlchemy it would cost more than a short read
    try:
        driver.execute(begin)
    except sqlite3.Error as error:
        raise OperationalError(begin, None, error) from error
