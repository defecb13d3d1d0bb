"""Connections to SQLite that stay with whoever asks: to take one out of the pool and give it back costs as much as a
question does."""

from __future__ import annotations

import sqlite3
from collections.abc import Callable
from typing import Any, TypeVar

from sqlalchemy import Connection, Engine
from sqlalchemy.exc import SQLAlchemyError

T = TypeVar("T")


class Kept:
    """The connections of one process; there are as many as ever asked at one moment."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine
        self._idle: list[Connection] = []

    def ask(self, work: Callable[[Connection], T], *, at_once: bool = False) -> T:
        """The result of `work` on one consistent view, which a single question (`at_once`) has by itself.

        What went wrong with SQLite ends the connection.
        """
        connection = self._take()
        try:
            result = work(connection) if at_once else _on_one_view(connection, work)
        except (SQLAlchemyError, sqlite3.Error):
            connection.close()
            raise
        except BaseException:
            self._idle.append(connection)
            raise
        self._idle.append(connection)
        return result

    def close(self) -> None:
        """Give all of them back."""
        while self._idle:
            self._idle.pop().close()

    def _take(self) -> Connection:
        try:
            return self._idle.pop()
        except IndexError:
            return self._engine.connect()


def _on_one_view(connection: Connection, work: Callable[[Connection], T]) -> T:
    """Said to the driver itself: through SQLAlchemy the beginning and the end cost as much as a short question."""
    sqlite: Any = connection.connection.driver_connection
    sqlite.execute("BEGIN")
    try:
        return work(connection)
    finally:
        sqlite.commit()  # nothing was written; and nothing is said where SQLite has ended the view by itself
