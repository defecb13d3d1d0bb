"""Engines for PostgreSQL by psycopg, which cooperates with gevent."""

from typing import Any

from sqlalchemy import URL, Engine, create_engine, event

from app.db import json_values
from app.db.statement_deadline import LimitedConnection

CONNECTIONS = 20  # the size of each pool: every process has one for reads and one for writes
POOL_TIMEOUT_S = 3.0  # for how long a request waits for a free connection
IDLE_IN_TRANSACTION_MS = 5_000
# How long a silent connection is trusted, in seconds (the last in ms). DATABASE_URL may set these otherwise
# (https://www.postgresql.org/docs/current/libpq-connect.html#LIBPQ-PARAMKEYWORDS).
TIMEOUTS = {
    "connect_timeout": 3,
    "keepalives_idle": 5,
    "keepalives_interval": 2,
    "keepalives_count": 3,
    "tcp_user_timeout": 10_000,
}


def read_engine(url: URL) -> Engine:
    """An engine for queries, without transactions. BEGIN and COMMIT would cost two more round trips for nothing: at READ
    COMMITTED each query in a transaction sees what was committed before it."""
    return _engine(url, isolation_level="AUTOCOMMIT")


def write_engine(url: URL, *, limited: bool = True) -> Engine:
    engine = _engine(url, limited=limited)
    event.listen(engine, "connect", _read_by_indexes)
    return engine


def migration_engine(url: URL) -> Engine:
    """As `write_engine`; its statements may take any time."""
    return write_engine(url, limited=False)


def report_engine(url: URL) -> Engine:
    """An engine with transactions, whose statements and pauses may take any time. Times are in UTC."""
    engine = create_engine(url, connect_args=_timeouts(url), hide_parameters=True)
    event.listen(engine, "connect", _in_utc)
    return engine


def _engine(url: URL, *, limited: bool = True, **options: Any) -> Engine:
    engine = create_engine(
        url,
        pool_size=CONNECTIONS,
        max_overflow=0,
        pool_timeout=POOL_TIMEOUT_S,
        pool_use_lifo=True,  # few connections do most of the work, and have its statements prepared
        hide_parameters=True,
        connect_args=_timeouts(url),
        json_serializer=json_values.written,
        json_deserializer=json_values.read,
        **options,
    )
    if limited:
        event.listen(engine, "do_connect", _connect)
    if "options" not in url.query:
        event.listen(engine, "connect", _limit_idle_transactions)
    return engine


def _timeouts(url: URL) -> dict[str, int]:
    return {name: value for name, value in TIMEOUTS.items() if name not in url.query}


def _in_utc(connection: Any, _: object) -> None:
    _set(connection, "timezone", "'UTC'")


def _connect(_dialect: object, _record: object, arguments: Any, options: Any) -> LimitedConnection:
    return LimitedConnection.connect(*arguments, **options)


def _limit_idle_transactions(connection: Any, _: object) -> None:
    """A host that is cut off in the middle of a transaction would keep its locks for two hours, by the defaults of Linux.

    Set in the session, not as a startup parameter: connection poolers refuse startup parameters that they do not know.
    """
    _set(connection, "idle_in_transaction_session_timeout", IDLE_IN_TRANSACTION_MS)


def _read_by_indexes(connection: Any, _: object) -> None:
    """Every ordered query of a transaction has an index in that order. If PostgreSQL's statistics show few rows, it would read
    another index and sort, which becomes slower with every row until the next ANALYZE.

    Not for the read engine: some of its lists are better sorted.
    """
    _set(connection, "enable_sort", "off")


def _set(connection: Any, name: str, value: object) -> None:
    with connection.cursor() as cursor:
        cursor.execute(f"SET {name} = {value}")
    connection.commit()
