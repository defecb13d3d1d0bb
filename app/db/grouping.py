"""One commit for all writes that wait at the same moment. SQLite lets one write at a time, and each commit waits for the
disk: together they wait once. Nobody is answered before that commit."""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from sqlalchemy import Connection, Engine

MOST = 50  # so that nobody waits for long behind others


@dataclass(eq=False, slots=True)
class Write:
    """Work that waits for its turn, and what came of it."""

    work: Callable[[Connection], Any]
    result: Any = None
    error: BaseException | None = None
    done: bool = False


class Groups:
    """Carries out writes of one process, in the order in which they came; `waiting` are those that nobody has begun."""

    def __init__(self, engine: Engine, runner: Callable[[Callable[[], Any]], Any]) -> None:
        self._engine = engine
        self._connection: Connection | None = None  # kept: to take it out of the pool costs more than a short write
        self._runner = runner
        self.waiting: deque[Write] = deque()
        self._turn = threading.Lock()

    def carry_out(self, work: Callable[[Connection], Any]) -> Any:
        """The result of `work` once it is committed; what it raises is undone alone, and raised."""
        write = Write(work)
        self.waiting.append(write)
        self._runner(lambda: self._see_to(write))
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
            if self._connection is None:
                self._connection = self._engine.connect()
            with self._connection.begin():
                for write in group:
                    self._attempt(self._connection, write, alone=len(group) == 1)
        except BaseException as error:  # noqa: BLE001 - it is raised where each of the writes was asked for
            self._drop()
            for write in group:
                write.error = write.error or error
        for write in group:
            write.done = True

    def _drop(self) -> None:
        if self._connection is not None:
            self._connection.close()
            self._connection = None

    @staticmethod
    def _attempt(connection: Connection, write: Write, *, alone: bool) -> None:
        if alone:
            write.result = write.work(connection)
            return
        # said to the driver itself: it is said twice for each write, and means nothing to SQLAlchemy
        sqlite: Any = connection.connection.driver_connection
        sqlite.execute("SAVEPOINT one")
        try:
            write.result = write.work(connection)
        except Exception as error:  # noqa: BLE001 - as above
            write.error = error
            connection.exec_driver_sql("ROLLBACK TO one")  # fails where SQLite has undone all: then all have failed
        sqlite.execute("RELEASE one")
