"""Fills a database with many requests by SQL: waiting ones, for a model that no extension has, and finished ones."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager

from sqlalchemy import Connection, text

from app.db.engine import write_engine
from app.db.tables import jobs
from bench.environment import UNSERVED, USER

SERIES = {
    "postgresql": "generate_series(1, :count) AS s(n)",
    "sqlite": "(WITH RECURSIVE s(n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM s WHERE n < :count) SELECT n FROM s) AS s",
}
# IDs grow with time; these are older than any real one. {} is the kind: waiting or finished.
ID = {
    "postgresql": "'01900000-0000-700{}-8000-' || lpad(to_hex(n), 12, '0')",
    "sqlite": "printf('01900000-0000-700{}-8000-%012x', n)",
}
WAITING, FINISHED = 1, 0

JOBS = """
INSERT INTO jobs (id, correlation_id, user_id, model, prompt, parameters, number_of_images, status, progress, last_event,
                  virtual_start, due_at, created_at, updated_at, queued_at, finished_at)
SELECT {id}, {id}, CASE WHEN n % {each} = 0 THEN '{user}' ELSE 'user-' || (n % 1000) END, '{model}',
       'A house by the sea', '{{}}', 1, '{status}', {progress}, 1,
       n, :now - :count + n, :now - :count + n, :now - :count + n, :now - :count + n, {finished}
FROM {series}
"""
EVENTS = """
INSERT INTO events (job_id, seq, type, status, at, data) SELECT {id}, 1, '{type}', '{status}', :now, '{{}}' FROM {series}
"""
IMAGES = """
INSERT INTO images (job_id, position, file, width, height, bytes, sha256, created_at)
SELECT {id}, 0, {id} || '-0.png', 1024, 1024, 1000000, 'e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855', :now
FROM {series}
"""
# Every event and picture has its request, so foreign keys need no check.
FASTER = {
    "postgresql": "SET LOCAL session_replication_role = replica; SET LOCAL maintenance_work_mem = '512MB'",
    "sqlite": "PRAGMA cache_size = -500000",
}
KNOWN = {"postgresql": "VACUUM ANALYZE", "sqlite": "ANALYZE"}


def fill(url: str, waiting: int, finished: int) -> None:
    """Insert the rows. The measured user owns a hundred of the waiting ones and a tenth of the finished ones."""
    engine = write_engine(url)
    try:
        with engine.begin() as connection, _indexes_last(connection):
            connection.exec_driver_sql(FASTER[connection.dialect.name])
            _add(connection, waiting, WAITING, "accepted", "ImageGenerationRequestedEvent")
            _add(connection, finished, FINISHED, "completed", "ImageGeneratedEvent")
        with engine.connect().execution_options(isolation_level="AUTOCOMMIT") as connection:
            connection.exec_driver_sql(KNOWN[connection.dialect.name])
    finally:
        engine.dispose()


def id_of(kind: int, number: int) -> str:
    """The ID of one of these requests."""
    return f"01900000-0000-700{kind}-8000-{number:012x}"


def owner_interval(kind: int, count: int) -> int:
    """Every n-th request belongs to the measured user."""
    return max(1, count // 100) if kind == WAITING else 10


@contextmanager
def _indexes_last(connection: Connection) -> Iterator[None]:
    """Build the indexes of requests after the rows: updating them row by row takes most of an hour for 10,000,000."""
    for index in jobs.indexes:
        index.drop(connection)
    yield
    for index in jobs.indexes:
        index.create(connection)


def _add(connection: Connection, count: int, kind: int, status: str, event: str) -> None:
    dialect = connection.dialect.name
    done = kind == FINISHED
    values = {
        "each": owner_interval(kind, count),
        "id": ID[dialect].format(kind),
        "series": SERIES[dialect],
        "user": USER,
        "model": UNSERVED,
        "status": status,
        "type": event,
        "progress": 100 if done else 0,
        "finished": ":now" if done else "NULL",
    }
    given = {"count": count, "now": int(time.time() * 1000)}
    for statement in (JOBS, EVENTS, *([IMAGES] if done else [])):
        connection.execute(text(statement.format(**values)), given)
