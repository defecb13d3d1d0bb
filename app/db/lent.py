"""Connections to PostgreSQL that are kept by whoever uses them: to have SQLAlchemy's pool lend one, and begin and end its
transaction, takes as long as a question does."""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import Any, TypeVar

from sqlalchemy import Connection, Engine
from sqlalchemy.exc import DBAPIError, SQLAlchemyError
from sqlalchemy.exc import TimeoutError as PoolTimeout

T = TypeVar("T")

MOST = 20
PATIENCE_S = 5.0


class Lent:
    """The connections of one engine, `MOST` at once; who finds none waits for one, `PATIENCE_S` at most."""

    def __init__(self, engine: Engine) -> None:
        self.engine = engine
        self._failed = engine.dialect.loaded_dbapi.Error
        self._idle: list[Connection] = []
        self._room = threading.Semaphore(MOST)

    def ask(self, work: Callable[[Connection], T], *, at_once: bool = False) -> T:
        """As `carry_out`, by an engine that is told of no transactions; whether it is one question makes no difference."""
        return self.carry_out(work)

    def carry_out(self, work: Callable[[Connection], T]) -> T:
        """The result of `work` once it is committed. Raises what `work` raises, which undoes it, SQLAlchemyError where
        PostgreSQL cannot be reached, and PoolTimeout where nobody gave a connection back in time."""
        if not self._room.acquire(timeout=PATIENCE_S):
            raise PoolTimeout("every connection is in use")
        try:
            connection = self._take()
            try:
                result = work(connection)
                self._commit(connection)
            except BaseException as error:
                self._undo(connection, torn_away=not isinstance(error, Exception))
                raise
            self._idle.append(connection)
            return result
        finally:
            self._room.release()

    def close(self) -> None:
        """Close those that nobody uses."""
        while self._idle:
            self._idle.pop().close()

    def _take(self) -> Connection:
        while self._idle:
            connection = self._idle.pop()
            if self._is_open(connection):
                return connection
            _give_up(connection)
        return self.engine.connect()

    def _is_open(self, connection: Connection) -> bool:
        """Seen in what has come in, not asked over the network. Twice, for a last word may have come before the end."""
        driver = _driver(connection)
        try:
            driver.pgconn.consume_input()
            driver.pgconn.consume_input()
        except self._failed:
            return False
        return True

    def _commit(self, connection: Connection) -> None:
        if connection.in_transaction():  # something was asked through SQLAlchemy, which has to know
            connection.commit()
            return
        try:
            _driver(connection).commit()
        except self._failed as error:
            raise DBAPIError.instance("COMMIT", None, error, self._failed, dialect=connection.dialect) from error

    def _undo(self, connection: Connection, *, torn_away: bool) -> None:
        """What was begun is undone. In the middle of a question, or where that fails, the connection ends with it."""
        if torn_away or connection.invalidated:
            _give_up(connection)
            return
        try:
            connection.rollback()  # what SQLAlchemy knows of
            _driver(connection).rollback()
        except (SQLAlchemyError, self._failed):
            _give_up(connection)
        else:
            self._idle.append(connection)


def _driver(connection: Connection) -> Any:
    return connection.connection.driver_connection


def _give_up(connection: Connection) -> None:
    connection.invalidate()
    connection.close()
