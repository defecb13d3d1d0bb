"""The migrations create the schema that the tables define."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any

from alembic import command
from alembic.autogenerate import compare_metadata
from alembic.config import Config
from alembic.migration import MigrationContext
from sqlalchemy import Connection

from app.db import events
from app.db import jobs as requests
from app.db.credential_tables import users
from app.db.engine import Database, Transaction
from app.db.migrate import FOLDER
from app.db.tables import extensions, jobs, styles
from app.domain.events import ImageGenerationRequestedEvent

INDEXES = {
    "postgresql": "SELECT indexname, indexdef FROM pg_indexes WHERE tablename IN ('jobs', 'extensions', 'styles')",
    "sqlite": "SELECT name, sql FROM sqlite_master WHERE type = 'index' AND tbl_name IN ('jobs', 'extensions', 'styles')",
}


def indexes(connection: Connection) -> dict[str, str]:
    """The definitions of the indexes of jobs, extensions and styles, with their conditions."""
    return {row[0]: row[1] for row in connection.exec_driver_sql(INDEXES[connection.dialect.name])}


def make_anew(tx: Transaction) -> None:
    for index in jobs.indexes | extensions.indexes | styles.indexes:
        index.drop(tx.connection)
        index.create(tx.connection)


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


def migrate(move: Callable[[Config, str], None], revision: str, tx: Transaction) -> None:
    config = Config()
    config.set_main_option("script_location", str(FOLDER))
    config.attributes["connection"] = tx.connection
    move(config, revision)
