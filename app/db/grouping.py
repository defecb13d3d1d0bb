"""One commit for all writes that wait at the same moment. SQLite lets one write at a time, and each commit waits for the
disk: together they wait once. Nobody is answered before that commit.

Under gevent nothing here holds up the loop for long: statements of one who has the lock are over sooner than a thread
could be woken, the lock of another process is waited for in Python, and the disk where `committing.py` says.
"""

from __future__ import annotations

import sqlite3
import threading
import time
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from sqlalchemy import Connection, Engine
from sqlalchemy.exc import OperationalError, SQLAlchemyError

MOST = 50  # so that nobody waits for long behind others
PATIENCE_S = 10.0
PAUSES_S = 0.0005, 0.01  # the first and the longest between two looks whether another process is done
PRIMARY = 0xFF  # the bits of SQLite's codes that say what went wrong, not where (https://sqlite.org/rescode.html)


@dataclass(eq=False, slots=True)
class Write:
    """Work that waits for its turn, and what came of it."""

    work: Callable[[Connection], Any]
    result: Any = None
    error: BaseException | None = None
    done: bool = False


class Groups:
    """Carries out writes of one process, in the order in which they came; `waiting` are those that nobody has begun."""

    def __init__(self, engine: Engine, committer: Callable[[Callable[[], Any]], Any]) -> None:
        self._engine = engine
        self._connection: Connection | None = None  # kept: to take it out of the pool costs more than a short write
        self._committer = committer
        self.waiting: deque[Write] = deque()
        self._turn = threading.Lock()

    def carry_out(self, work: Callable[[Connection], Any]) -> Any:
        """The result of `work` once it is committed; what it raises is undone alone, and raised."""
        write = Write(work)
        self.waiting.append(write)
        self._see_to(write)
        if write.error is not None:
            raise write.error
        return write.result

    def close(self) -> None:
        """Give back the connection that is kept."""
        with self._turn:
            self._drop()

    def _see_to(self, write: Write) -> None:
        with self._turn:
            while not write.done:
                group = [self.waiting.popleft() for _ in range(min(MOST, len(self.waiting)))]
                self._commit(group)

    def _commit(self, group: list[Write]) -> None:
        try:
            connection = self._begin()
            for write in group:
                self._attempt(connection, write, alone=len(group) == 1)
            self._committer(_driver(connection).commit)
        except BaseException as error:  # noqa: BLE001 - it is raised where each of the writes was asked for
            self._committer(_nothing)  # a commit that we were torn away from ends before anything is undone
            self._undo()
            told = OperationalError(None, None, error) if isinstance(error, sqlite3.Error) else error
            for write in group:
                write.error = write.error or told
        for write in group:
            write.done = True

    def _begin(self) -> Connection:
        """Take SQLite's lock. Its own waiting would be in C code, and in steps of up to 100 ms."""
        if self._connection is None:
            self._connection = self._engine.connect()
            _driver(self._connection).execute("PRAGMA busy_timeout=0")
        give_up, pause_s = time.monotonic() + PATIENCE_S, PAUSES_S[0]
        while True:
            try:
                # A deferred transaction that reads first cannot wait for a writer: it fails at once, or loses an update.
                _driver(self._connection).execute("BEGIN IMMEDIATE")
            except sqlite3.OperationalError as error:
                if not _is_busy(error) or time.monotonic() > give_up:
                    raise
            else:
                return self._connection
            time.sleep(pause_s)
            pause_s = min(1.5 * pause_s, PAUSES_S[1])

    def _undo(self) -> None:
        """What was begun is undone. A connection that cannot do that is given up, and with it what was begun."""
        if self._connection is None:
            return
        try:
            _driver(self._connection).rollback()
        except (SQLAlchemyError, sqlite3.Error):
            self._connection.invalidate()
            self._drop()

    def _drop(self) -> None:
        if self._connection is not None:
            self._connection.close()
            self._connection = None

    @staticmethod
    def _attempt(connection: Connection, write: Write, *, alone: bool) -> None:
        if alone:
            write.result = write.work(connection)
            return
        sqlite = _driver(connection)
        sqlite.execute("SAVEPOINT one")
        try:
            write.result = write.work(connection)
        except Exception as error:  # noqa: BLE001 - as above
            write.error = error
            sqlite.execute("ROLLBACK TO one")  # fails where SQLite has undone all: then all have failed
        sqlite.execute("RELEASE one")


def _driver(connection: Connection) -> sqlite3.Connection:
    """Told itself where transactions begin and end: through SQLAlchemy that costs as much as what is written."""
    driver: Any = connection.connection.driver_connection
    assert isinstance(driver, sqlite3.Connection)
    return driver


def _is_busy(error: sqlite3.Error) -> bool:
    return getattr(error, "sqlite_errorcode", 0) & PRIMARY == sqlite3.SQLITE_BUSY


def _nothing() -> None:
    """Done when everything before it is."""
