"""Engines for SQLite: any number of readers, and one writer at a time (https://sqlite.org/wal.html).

A commit waits for the disk. With gevent it runs on a thread, so that other greenlets can run meanwhile.
"""

from __future__ import annotations

import sqlite3
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from gevent import get_hub
from gevent.monkey import is_module_patched
from sqlalchemy import URL, Connection, Engine, create_engine, event
from sqlalchemy.exc import OperationalError

from app.db import json_values

LOCK_TIMEOUT_S = 10.0  # how long a transaction waits for SQLite's write lock
PAUSES_S = 0.0005, 0.01  # the first and the longest pause between two attempts to take it
PRIMARY_CODE = 0xFF  # the part of SQLite's error codes that names the kind (https://sqlite.org/rescode.html)


def read_engine(url: URL) -> Engine:
    """An engine for queries, without transactions, as `postgres.read_engine`."""
    engine = _engine(url, pool_size=5, max_overflow=30)
    event.listen(engine, "connect", _prepare_reader)
    return engine


def write_engine(url: URL) -> Engine:
    """An engine whose transactions hold SQLite's write lock from their beginning.

    Its pool has one connection: the writers of one process queue for it, and only processes compete for the file lock.
    """
    engine = _engine(url, pool_size=1, max_overflow=0)
    event.listen(engine, "connect", _prepare_writer)
    event.listen(engine, "begin", _begin_immediate)
    return engine


class SqliteConnection(sqlite3.Connection):
    """A connection whose commits do not block the event loop of gevent."""

    def commit(self) -> None:
        """As sqlite3's."""
        if is_module_patched("threading"):
            _run_on_thread(super().commit)
        else:
            super().commit()


def _engine(url: URL, *, pool_size: int, max_overflow: int) -> Engine:
    Path(url.database or "").resolve().parent.mkdir(parents=True, exist_ok=True)
    return create_engine(
        url,
        pool_size=pool_size,
        max_overflow=max_overflow,
        pool_timeout=LOCK_TIMEOUT_S,
        hide_parameters=True,
        connect_args={"check_same_thread": False, "factory": SqliteConnection},
        json_serializer=json_values.written,
        json_deserializer=json_values.read,
    )


def _prepare_reader(connection: sqlite3.Connection, _: object) -> None:
    _prepare(connection, busy_timeout_ms=int(LOCK_TIMEOUT_S * 1000))


def _prepare_writer(connection: sqlite3.Connection, _: object) -> None:
    _prepare(connection, busy_timeout_ms=0)  # `_begin_immediate` waits in Python, where other greenlets can run


def _prepare(connection: sqlite3.Connection, *, busy_timeout_ms: int) -> None:
    connection.isolation_level = None  # sqlite3 would begin too late, and with a deferred transaction
    waiting = f"busy_timeout={int(LOCK_TIMEOUT_S * 1000)}"  # the first access to the file may meet an exclusive lock
    for pragma in (
        waiting,
        "journal_mode=WAL",
        "synchronous=FULL",
        "foreign_keys=ON",
        f"busy_timeout={busy_timeout_ms}",
    ):
        connection.execute(f"PRAGMA {pragma}").close()


def _begin_immediate(connection: Connection) -> None:
    """Take the write lock now: a deferred transaction that reads first fails at once if another one writes."""
    give_up, pause_s = time.monotonic() + LOCK_TIMEOUT_S, PAUSES_S[0]
    while True:
        try:
            connection.exec_driver_sql("BEGIN IMMEDIATE")
            return
        except OperationalError as error:
            if not _is_busy(error) or time.monotonic() > give_up:
                raise
        time.sleep(pause_s)
        pause_s = min(1.5 * pause_s, PAUSES_S[1])


def _is_busy(error: OperationalError) -> bool:
    return getattr(error.orig, "sqlite_errorcode", 0) & PRIMARY_CODE == sqlite3.SQLITE_BUSY


def _run_on_thread(work: Callable[[], None]) -> None:
    """Run `work` on a thread of gevent's pool and wait for its end, even if this greenlet is killed: until then the thread
    uses the connection."""
    outcome = get_hub().threadpool.spawn(_error_of, work)
    killed: BaseException | None = None
    while not outcome.ready():
        try:
            outcome.wait()
        except BaseException as error:  # noqa: BLE001 - raised below
            killed = error
    failure = killed or outcome.get()
    if failure is not None:
        raise failure


def _error_of(work: Callable[[], Any]) -> Exception | None:
    """What `work` raised, returned: gevent prints what is raised on its threads to standard error."""
    try:
        work()
    except Exception as error:  # noqa: BLE001 - raised where the work was started
        return error
    return None
