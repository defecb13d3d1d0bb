"""The database's clock, as an SQL expression and as a query."""

from sqlalchemy import BigInteger, Connection, select
from sqlalchemy.ext.compiler import compiles
from sqlalchemy.sql.functions import FunctionElement


class now_ms(FunctionElement[int]):  # noqa: N801 - an SQL function, written as one
    """The database's clock in ms since the epoch. Every time that decides something comes from here."""

    type = BigInteger()
    inherit_cache = True
    postgresql = "clock_timestamp()"


class statement_now_ms(FunctionElement[int]):  # noqa: N801
    """The same clock at the start of the statement, for comparisons with rows.

    It is constant within a statement, so PostgreSQL can use an index for it.
    """

    type = BigInteger()
    inherit_cache = True
    postgresql = "statement_timestamp()"


@compiles(now_ms, "sqlite")
@compiles(statement_now_ms, "sqlite")
def _now_sqlite(_element: object, _compiler: object, **_: object) -> str:
    return "CAST((julianday('now') - 2440587.5) * 86400000 + 0.5 AS INTEGER)"


@compiles(now_ms, "postgresql")
@compiles(statement_now_ms, "postgresql")
def _now_postgresql(element: now_ms | statement_now_ms, _compiler: object, **_: object) -> str:
    return f"CAST(EXTRACT(EPOCH FROM {element.postgresql}) * 1000 AS BIGINT)"


_NOW = select(now_ms())


def now(connection: Connection) -> int:
    """The database's time in ms."""
    return connection.execute(_NOW).scalar_one()
