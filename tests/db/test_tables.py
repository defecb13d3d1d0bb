"""The migrations create the schema that the tables define."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from itertools import chain
from typing import Any

import pytest
from alembic import command
from alembic.autogenerate import compare_metadata
from alembic.config import Config
from alembic.migration import MigrationContext
from sqlalchemy import Connection

from app.db import events, queue
from app.db import jobs as requests
from app.db.credential_tables import users
from app.db.engine import Database, Transaction
from app.db.input_tables import inputs, job_inputs
from app.db.migrate import FOLDER
from app.db.tables import extensions, jobs, styles
from app.db.webhook_tables import webhook_deliveries, webhook_endpoints
from app.domain.events import ImageGenerationRequestedEvent
from app.domain.fair_queueing import UNIT

TABLES = (jobs, extensions, styles, inputs, job_inputs, webhook_endpoints, webhook_deliveries)
NAMES = ", ".join(f"'{table.name}'" for table in TABLES)
INDEXES = {
    "postgresql": f"SELECT indexname, indexdef FROM pg_indexes WHERE tablename IN ({NAMES})",
    "sqlite": f"SELECT name, sql FROM sqlite_master WHERE type = 'index' AND tbl_name IN ({NAMES})",
}


def indexes(connection: Connection) -> dict[str, str]:
    """The definitions of the indexes of `TABLES`, with their conditions."""
    return {row[0]: row[1] for row in connection.exec_driver_sql(INDEXES[connection.dialect.name])}


def make_anew(tx: Transaction) -> None:
    for index in chain.from_iterable(table.indexes for table in TABLES):
        index.drop(tx.connection)
        index.create(tx.connection)


# indexes of expressions cannot be reflected; the next test compares them
@pytest.mark.filterwarnings("ignore:.*expression-based index")
def test_the_migrations_create_the_schema_that_the_tables_define(database: Database) -> None:
    def differences(connection: Connection) -> list[object]:
        return list(compare_metadata(MigrationContext.configure(connection), users.metadata))

    assert database.read(differences) == []


def test_the_migrations_create_the_indexes_that_the_tables_define(database: Database) -> None:
    migrated = database.read(indexes)
    database.write(make_anew)
    assert database.read(indexes) == migrated


def test_existing_rows_survive_the_migrations(database: Database) -> None:
    """Revision 0005 had events in another kind of table, and a time until which each request waits."""

    def ask(tx: Transaction) -> str:
        order: dict[str, Any] = {
            "correlation_id": "c-1",
            "user_id": "ann",
            "model": "m",
            "prompt": "a fox",
            "parameters": {},
        }
        order |= {"number_of_images": 1}
        job = requests.add(tx, "550e8400-e29b-41d4-a716-446655440000", order)
        events.append(tx, job, ImageGenerationRequestedEvent("m", "ann"))
        return job.id

    def found(connection: Connection) -> object:
        return requests.find(connection, job_id), events.after(connection, job_id, 0)

    job_id = database.write(ask)
    before = database.read(found)
    for move, revision in ((command.downgrade, "0005"), (command.upgrade, "head")):
        database.write(partial(migrate, move, revision))
    assert database.read(found) == before


def test_waiting_requests_keep_their_order_by_rank(database: Database) -> None:
    """Revision 0016 ordered them by `place`, a time: ann's first of two, bob's one, ann's second; and another model's."""
    rows = [("a", "M", 5_000), ("b", "m", 4_000), ("c", "m", 9_000), ("d", "other", 1), ("done", "m", 1)]
    columns = "id, correlation_id, user_id, model, prompt, parameters, number_of_images, status, place, due_at, created_at, updated_at"
    database.write(partial(migrate, command.downgrade, "0016"))
    for job_id, model, place in rows:
        status = "completed" if job_id == "done" else "accepted"
        values = f"'{job_id}', 'c', 'ann', '{model}', 'a fox', '{{}}', 1, '{status}', {place}, 1, 77, 1"
        database.write(partial(execute, f"INSERT INTO jobs ({columns}) VALUES ({values})"))
    database.write(partial(migrate, command.upgrade, "head"))
    kept = {job_id: database.read(partial(requests.find, job_id=job_id)) for job_id, _, _ in rows}
    assert {job_id: (job.virtual_start, job.queued_at, job.priority) for job_id, job in kept.items() if job} == {
        "b": (0, 77, 1),
        "a": (UNIT, 77, 1),
        "c": (2 * UNIT, 77, 1),
        "d": (0, 77, 1),
        "done": (0, 77, 1),
    }
    assert [each.id for each in database.read(lambda c: queue.first_of(c, ["m"], 9))] == ["b", "a", "c"]


def execute(statement: str, tx: Transaction) -> None:
    tx.connection.exec_driver_sql(statement)


def migrate(move: Callable[[Config, str], None], revision: str, tx: Transaction) -> None:
    config = Config()
    config.set_main_option("script_location", str(FOLDER))
    config.attributes["connection"] = tx.connection
    move(config, revision)
