"""Reads the database independently of the service, to verify that acknowledged data is really stored."""

from __future__ import annotations

import sqlite3
import threading

import psycopg
from sqlalchemy import make_url

JOB = "SELECT 1 FROM jobs WHERE id = {0}"
EVENT = "SELECT 1 FROM events WHERE job_id = {0} AND seq = {0}"


class DatabaseProbe:
    """One connection for all threads."""

    def __init__(self, database_url: str) -> None:
        self._url = make_url(database_url)
        self._lock = threading.Lock()
        self._connection: sqlite3.Connection | psycopg.Connection[tuple[object, ...]] | None = None

    def has_job(self, request_id: str) -> bool | None:
        """True if the request is in the database; None if the database is unavailable."""
        return self._has(JOB, request_id)

    def has_event(self, request_id: str, seq: int) -> bool | None:
        """True if the event is in the database; None if the database is unavailable."""
        return self._has(EVENT, request_id, seq)

    def _has(self, query: str, *values: object) -> bool | None:
        with self._lock:
            try:
                return self._call(query, values)
            except (sqlite3.Error, psycopg.Error):
                self._connection = None
                return None

    def _call(self, query: str, values: tuple[object, ...]) -> bool:
        if self._url.get_backend_name() == "sqlite":
            if not isinstance(self._connection, sqlite3.Connection):
                self._connection = sqlite3.connect(self._url.database or "", timeout=10, check_same_thread=False)
            return self._connection.execute(query.format("?"), values).fetchone() is not None
        if not isinstance(self._connection, psycopg.Connection):
            plain = self._url.set(drivername="postgresql").render_as_string(hide_password=False)
            self._connection = psycopg.connect(plain, autocommit=True, connect_timeout=3)
        return self._connection.execute(query.format("%s"), values).fetchone() is not None
