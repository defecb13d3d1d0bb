"""Fills a database with a history for reports by SQL: requests of four weeks with their events, pictures, batches and webhooks."""

from __future__ import annotations

from sqlalchemy import Connection, text

from app.db.engine import migration_engine
from app.db.tables import jobs
from bench.fill import FASTER, KNOWN, SERIES

START = 1_767_225_600_000  # 2026-01-01
SPAN_MS = 28 * 86_400_000
EXTENSIONS, USERS, HOOKS, ITEMS = 40, 1_000, 200, 400

# IDs in the order of time, as the real ones are
ID = {
    "postgresql": "'01900000-0000-7{kind}-8000-' || lpad(to_hex({n}), 12, '0')",
    "sqlite": "printf('01900000-0000-7{kind}-8000-%012x', {n})",
}
JSON = {"postgresql": "CAST({} AS JSON)", "sqlite": "{}"}

# One in 100 waits, one in 20 fails, one in 50 has the pictures of another one, one in 25 is in its second attempt.
JOBS = """
INSERT INTO jobs (id, correlation_id, user_id, model, prompt, parameters, number_of_images, status, progress, last_event, due_at,
                  created_at, updated_at, queued_at, started_at, generated_at, finished_at, holder, attempt, strikes, error_code,
                  error, style, batch_id, cached_from, cache)
SELECT {id}, 'c', 'user-' || (n % {users}), 'model-' || (n % 7),
       'A house by the sea, in the style of a woodcut, seen from a boat, number ' || n,
       {parameters}, 1, status, 100, 4, created, created, created, created,
       CASE WHEN status <> 'accepted' AND n % 50 <> 1 THEN started END,
       CASE WHEN status = 'completed' THEN delivered END,
       CASE WHEN status <> 'accepted' THEN delivered + (n * 31) % 3000 END,
       CASE WHEN status = 'completed' THEN 'extension-' || (n % {extensions}) END,
       CASE WHEN status = 'accepted' OR n % 50 = 1 THEN 0 WHEN n % 25 = 0 THEN 2 ELSE 1 END,
       CASE WHEN n % 25 = 0 THEN 1 ELSE 0 END,
       CASE WHEN status = 'failed' THEN 'ERR_' || (n % 3) END,
       CASE WHEN status = 'failed' THEN 'The generator refused.' END,
       CASE WHEN n % 5 = 0 THEN 'style-' || (n % 12) END,
       CASE WHEN n % 4 = 0 THEN {batch} END,
       CASE WHEN n % 50 = 1 AND status = 'completed' THEN {before} END,
       CASE WHEN n % 10 = 1 THEN 'prefer' END
FROM (
  SELECT n, created, created + (n % 60000) * 7919 % 60000 AS started, created + (n % 60000) * 7919 % 60000 + 5000 + (n % 5000) * 104729 % 55000 AS delivered,
         CASE WHEN n % 100 = 99 THEN 'accepted' WHEN n % 20 = 0 THEN 'failed' ELSE 'completed' END AS status
  FROM (SELECT n, {start} + CAST(n AS BIGINT) * {step} AS created FROM {series}) AS times
) AS history
"""
# (number, type, status after it, time, payload, which requests have it)
EVENTS = (
    ("1", "ImageGenerationRequestedEvent", "accepted", "created_at", """'{"user_id": "' || user_id || '"}'""", "1 = 1"),
    ("2", "ImageGenerationAssignedEvent", "processing", "started_at - 3000 * strikes", "{by}", "attempt > 0"),
    ("3", "ImageGenerationRequeuedEvent", "accepted", "started_at - 1000", "{failed_by}", "attempt = 2"),
    ("4", "ImageGenerationAssignedEvent", "processing", "started_at", "{by}", "attempt = 2"),
    (
        "2 * attempt + 1",
        "ImageDownloadStartedEvent",
        "downloading",
        "generated_at",
        "{by}",
        "attempt > 0 AND {completed}",
    ),
    ("2 * attempt + 2", "ImageGeneratedEvent", "completed", "finished_at", "'{}'", "{completed}"),
    ("2 * attempt + 1", "ImageGenerationFailedEvent", "failed", "finished_at", "{failed_by}", "status = 'failed'"),
)
IMAGES = """
INSERT INTO images (job_id, position, file, width, height, bytes, sha256, created_at)
SELECT id, 0, id || '_1.png', 1024, 1024, 1000000 + created_at % 1000,
       'e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855', finished_at
FROM jobs WHERE status = 'completed'
"""
BATCHES = """
INSERT INTO batches (id, user_id, correlation_id, name, status, concurrency, defaults, total, completed, failed, failures, created_at,
                     updated_at, started_at, finished_at)
SELECT batch_id, min(user_id), 'c', 'Chapter', 'completed', 32, '{}', count(*), sum(CASE WHEN status = 'completed' THEN 1 ELSE 0 END),
       sum(CASE WHEN status = 'failed' THEN 1 ELSE 0 END), '{}', min(created_at), max(finished_at), min(started_at), max(finished_at)
FROM jobs WHERE batch_id IS NOT NULL GROUP BY batch_id
"""
EXTENSION_ROWS = """
INSERT INTO extensions (id, connected, available, capabilities, max_concurrent, connected_at, heard_at, disconnected_at, connected_ms,
                        observed_since)
SELECT 'extension-' || (n - 1), false, true, '[]', 2, :start, :start, :start, 2000000000, :start FROM {series}
"""
HOOK_ROWS = """
INSERT INTO webhook_endpoints (id, user_id, url, host, events, signer_id, key_fingerprint, created_at, updated_at)
SELECT 'hook-' || (n - 1), 'user-' || n, 'https://receiver.example', 'receiver.example:443', 1, 'x', 'x', :start, :start FROM {series}
"""
DELIVERIES = """
INSERT INTO webhook_deliveries (endpoint_id, host, event_id, type, sequence, occurred_at, snapshot, status, attempts, due_at, attempted_at,
                                duration_ms, response_status, created_at, finished_at)
SELECT 'hook-' || (finished_at % {hooks}), 'receiver.example:443', 'evt_' || id, 'image.completed', 3, finished_at, '{{}}',
       CASE WHEN finished_at % 50 = 0 THEN 'failed' ELSE 'delivered' END, 1, finished_at, finished_at + 100, 50 + finished_at % 400, 200,
       finished_at, finished_at + 200
FROM jobs WHERE finished_at IS NOT NULL
"""


def fill(url: str, count: int) -> None:
    """Insert a history of so many requests, with about four events, a picture and a delivery each."""
    engine = migration_engine(url)
    try:
        with engine.begin() as connection:
            connection.exec_driver_sql(FASTER[connection.dialect.name])
            for index in jobs.indexes:
                index.drop(connection)
            _requests(connection, count)
            for index in jobs.indexes:
                index.create(connection)
            _others(connection)
        with engine.connect().execution_options(isolation_level="AUTOCOMMIT") as connection:
            connection.exec_driver_sql(KNOWN[connection.dialect.name])
    finally:
        engine.dispose()


def _requests(connection: Connection, count: int) -> None:
    dialect = connection.dialect.name
    history = JOBS.format(
        id=ID[dialect].format(kind="000", n="n"),
        before=ID[dialect].format(kind="000", n="n - 1"),
        batch=ID[dialect].format(kind="001", n=f"n / {ITEMS}"),
        parameters=JSON[dialect].format("""'{"width": 1024, "height": 1024, "quality": "hd"}'"""),
        series=SERIES[dialect],
        users=USERS,
        extensions=EXTENSIONS,
        start=START,
        step=SPAN_MS // count,
    )
    _run(connection, history, count=count)
    _run(connection, "INSERT INTO events (job_id, seq, type, status, at, data) " + " UNION ALL ".join(_events(dialect)))


def _events(dialect: str) -> list[str]:
    extension = f"""'"extension_id": "extension-' || (created_at % {EXTENSIONS}) || '"'"""
    words = {
        "by": f"""'{{' || {extension} || ', "attempt": ' || attempt || '}}'""",
        "failed_by": f"""'{{' || {extension} || ', "code": "ERR_TIMEOUT"}}'""",
        "completed": "status = 'completed'",
    }
    return [
        f"SELECT id, {number}, '{kind}', '{status}', {at}, {JSON[dialect].format(_filled(data, words))}"
        f" FROM jobs WHERE {_filled(which, words)}"
        for number, kind, status, at, data, which in EVENTS
    ]


def _filled(template: str, words: dict[str, str]) -> str:
    for name, value in words.items():
        template = template.replace(f"{{{name}}}", value)
    return template


def _others(connection: Connection) -> None:
    series = SERIES[connection.dialect.name]
    _run(connection, HOOK_ROWS.format(series=series), count=HOOKS, start=START)
    for statement in (IMAGES, BATCHES, DELIVERIES.format(hooks=HOOKS)):
        _run(connection, statement)
    _run(connection, EXTENSION_ROWS.format(series=series), count=EXTENSIONS, start=START)


def _run(connection: Connection, statement: str, **values: int) -> None:
    if values:
        connection.execute(text(statement), values)
    else:
        connection.exec_driver_sql(
            statement.replace("%", "%%") if connection.dialect.name == "postgresql" else statement
        )
