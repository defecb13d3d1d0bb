"""Statements that are asked again and again: compiled once for each kind of database, and carried out by its driver.

SQLAlchemy looks up the compiled form at each execution and builds a result with names around what comes back, which takes
longer than SQLite does for most questions. That alone is left out: connections, transactions, types and errors are its own,
and whoever listens for `before_cursor_execute` or `after_cursor_execute` hears of these statements too.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from sqlalchemy import Connection, Dialect
from sqlalchemy.exc import DBAPIError, NoResultFound

Processor = Callable[[Any], Any]
Values = Mapping[str, Any]
NOTHING: Values = {}
# What the drivers call it: sqlite3.Connection and `direct.DirectConnection`.
_AT_ONCE = {"sqlite": "execute", "postgresql": "ask"}
_SOON = {"sqlite": "execute", "postgresql": "tell"}


@dataclass(frozen=True, slots=True)
class Form:
    """What one kind of database is sent, and how values go there and come back."""

    text: str
    defaults: Values  # what stands in the statement itself
    order: Sequence[str]  # of the values
    there: Sequence[tuple[str, Processor]]
    back: Sequence[tuple[int, Processor]]

    def parameters(self, values: Values) -> Sequence[Any]:
        """The values as the driver wants them; names that the statement does not have are passed over."""
        said = {**self.defaults, **values}
        for name, processor in self.there:
            said[name] = processor(said[name])
        return tuple([said[name] for name in self.order])

    def read(self, row: Sequence[Any]) -> Sequence[Any]:
        """A row with its values as Python has them."""
        if not self.back:
            return row
        read = list(row)
        for place, processor in self.back:
            read[place] = processor(read[place])
        return read


class Prepared:
    """A SELECT, or an INSERT, UPDATE or DELETE with RETURNING or without; `columns` are those that an INSERT is given.

    Lists of values (`IN`) are not possible. Raises what `Connection.execute` raises.
    """

    def __init__(self, statement: Any, columns: Iterable[str] | None = None) -> None:
        self._statement = statement
        self._columns = None if columns is None else list(columns)
        self._forms: dict[str, Form] = {}

    def rows(self, connection: Connection, values: Values = NOTHING) -> list[Sequence[Any]]:
        """All rows that come back, their values in the order of the statement's columns."""
        form, cursor = self._carried_out(connection, values)
        return [form.read(row) for row in cursor.fetchall()]

    def row(self, connection: Connection, values: Values = NOTHING) -> Sequence[Any] | None:
        """The first row that comes back, or None."""
        form, cursor = self._carried_out(connection, values)
        row = cursor.fetchone()
        cursor.close()
        return None if row is None else form.read(row)

    def one(self, connection: Connection, values: Values = NOTHING) -> Sequence[Any]:
        """The row of a statement that always has one. Raises NoResultFound where it has none after all."""
        row = self.row(connection, values)
        if row is None:
            raise NoResultFound
        return row

    def change(self, connection: Connection, values: Values = NOTHING) -> int:
        """How many rows were inserted, changed or removed."""
        _, cursor = self._carried_out(connection, values)
        return int(cursor.rowcount)

    def soon(self, connection: Connection, values: Values = NOTHING) -> Callable[[], Sequence[Any] | None]:
        """Have it carried out before whatever is asked next, or with the end of the transaction: on PostgreSQL it goes the same
        way. What it raises is raised there. Returns how to get the first row that comes back."""
        rows = self.rows_soon(connection, values)

        def row() -> Sequence[Any] | None:
            return next(iter(rows()), None)

        return row

    def rows_soon(self, connection: Connection, values: Values = NOTHING) -> Callable[[], list[Sequence[Any]]]:
        """As `soon`; returns how to get all rows that come back."""
        form, cursor = self._carried_out(connection, values, _SOON)
        if connection.dialect.name == "sqlite":  # there it is done: whoever looks after the commit is not to read on
            found = [form.read(row) for row in cursor.fetchall()]
            return lambda: found

        def rows() -> list[Sequence[Any]]:
            try:
                came = cursor.fetchall()
            except connection.dialect.loaded_dbapi.Error as error:
                raise _told(connection.dialect, form.text, form.parameters(values), error) from error
            return [form.read(row) for row in came]

        return rows

    def _carried_out(
        self, connection: Connection, values: Values, how: Mapping[str, str] = _AT_ONCE
    ) -> tuple[Form, Any]:
        dialect = connection.dialect
        form = self._forms.get(dialect.name) or self._compiled(dialect)
        parameters = form.parameters(values)
        driver: Any = connection.connection.driver_connection
        # private, and what SQLAlchemy looks at first itself: to find that nobody listens takes as long as a short question
        heard = connection._has_events or connection.engine._has_events
        if heard:
            for hear in connection.dispatch.before_cursor_execute:
                hear(connection, None, form.text, parameters, None, False)
        try:
            cursor = getattr(driver, how[dialect.name])(form.text, parameters)
        except dialect.loaded_dbapi.Error as error:
            raise _told(dialect, form.text, parameters, error) from error
        if heard:
            for hear in connection.dispatch.after_cursor_execute:
                hear(connection, cursor, form.text, parameters, None, False)
        return form, cursor

    def _compiled(self, dialect: Dialect) -> Form:
        compiled = self._statement.compile(dialect=_placing(dialect), column_keys=self._columns)
        there = {
            name: bind.type.dialect_impl(dialect).bind_processor(dialect) for bind, name in compiled.bind_names.items()
        }
        back = [
            column.type.dialect_impl(dialect).result_processor(dialect, None)
            for column in self._statement.exported_columns
        ]
        form = Form(
            text=str(compiled),
            defaults=compiled.params,
            order=compiled.positiontup,
            there=[(name, processor) for name, processor in there.items() if processor],
            back=[(place, processor) for place, processor in enumerate(back) if processor],
        )
        self._forms[dialect.name] = form
        return form


def _placing(dialect: Dialect) -> Dialect:
    """The same, with places for values instead of names: `$1` where the server itself reads the statement."""
    made: Callable[..., Dialect] = type(dialect)
    return dialect if dialect.positional else made(paramstyle="numeric_dollar")


def _told(dialect: Dialect, text: str, parameters: Any, error: Exception) -> BaseException:
    """The error as SQLAlchemy would raise it."""
    return DBAPIError.instance(text, parameters, error, dialect.loaded_dbapi.Error, dialect=dialect)
