"""Reports for operators and analysts: their rows, and the accounts that may read them."""

from __future__ import annotations

import secrets
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

from sqlalchemy import Connection

from app.db import reports
from app.db.engine import report_engine
from app.db.reports import readers
from app.db.reports.dialects import Period
from app.domain.errors import InvalidRequest

ROWS_AT_ONCE = 1_000


@dataclass(frozen=True, slots=True)
class Report:
    """The columns of a report, and its rows, which are read while they are used."""

    columns: Sequence[str]
    rows: Iterator[Sequence[Any]]


@dataclass(frozen=True, slots=True)
class Reader:
    """A role that may read the reports. `password` is one that was set, `statements` are left for an administrator."""

    password: str | None
    statements: Sequence[str] = ()


class Reporting:
    def __init__(self, database_url: str) -> None:
        self.database_url = database_url

    @contextmanager
    def open(self, name: str, period: Period, limit: int | None = None) -> Iterator[Report]:
        """The report of this name about a period, ordered by its first columns. Raises InvalidRequest."""
        if period != Period() and not reports.has_period(name):
            raise InvalidRequest(f"{name} is counted over all time: leave out --since and --until.")
        with self._connection() as connection:
            query = reports.in_order(name, connection.dialect.name, period, limit)
            result = connection.execution_options(yield_per=ROWS_AT_ONCE).execute(query)
            yield Report(list(result.keys()), iter(result))

    def make_reader(self, name: str, *, new_password: bool) -> Reader:
        """Let this role of PostgreSQL read the reports, and create it if it is missing. Raises InvalidRequest."""
        with self._connection() as connection:
            if connection.dialect.name != "postgresql":
                raise InvalidRequest(
                    "SQLite has no roles: open the file with ?mode=ro, as docs/reports.md explains, and protect the file."
                )
            try:
                known = readers.is_reader(connection, name)
                password = secrets.token_urlsafe(24) if new_password or not known else None
                statements = readers.statements(connection, name, password)
            except readers.NoReader as problem:
                raise InvalidRequest(str(problem)) from None
            done = readers.execute(connection, statements)
            return Reader(password, () if done else statements)

    @contextmanager
    def _connection(self) -> Iterator[Connection]:
        engine = report_engine(self.database_url)
        try:
            with engine.connect() as connection:
                yield connection
        finally:
            engine.dispose()
