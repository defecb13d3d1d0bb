"""What the tables say and what the migrations make is the same."""

from __future__ import annotations

from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext
from sqlalchemy import Connection

from app.db.engine import Database, Transaction
from app.db.people_tables import users
from app.db.tables import jobs

INDEXES = {
    "postgresql": "SELECT indexname, indexdef FROM pg_indexes WHERE tablename = 'jobs'",
    "sqlite": "SELECT name, sql FROM sqlite_master WHERE type = 'index' AND tbl_name = 'jobs'",
}


def indexes(connection: Connection) -> dict[str, str]:
    """How those of jobs are defined, with the jobs that they are of."""
    return {row[0]: row[1] for row in connection.exec_driver_sql(INDEXES[connection.dialect.name])}


def make_anew(tx: Transaction) -> None:
    for index in jobs.indexes:
        index.drop(tx.connection)
        index.create(tx.connection)


def test_the_migrations_make_what_the_tables_say(database: Database) -> None:
    def differences(connection: Connection) -> list[object]:
        return list(compare_metadata(MigrationContext.configure(connection), users.metadata))

    assert database.read(differences) == []


def test_the_migrations_make_indexes_of_the_jobs_that_the_tables_say(database: Database) -> None:
    migrated = database.read(indexes)
    database.write(make_anew)
    assert database.read(indexes) == migrated
