"""Upgrade the database to this release's schema. Safe to call from many processes at once."""

from pathlib import Path

from alembic import command
from alembic.config import Config
from alembic.migration import MigrationContext
from alembic.script import ScriptDirectory
from sqlalchemy import Connection, text

from app.db import reports
from app.db.engine import migration_engine, read_engine

FOLDER = Path(__file__).resolve().parents[2] / "migrations"
ADVISORY_LOCK = 0x1F1EE7


def upgrade(url: str) -> bool:
    """Run the missing migrations under a lock; True if there were any."""
    engine = migration_engine(url)
    try:
        with engine.begin() as connection:
            _only_one(connection)
            if has_current_schema(connection):
                return False
            config = Config(attributes={"connection": connection})
            config.set_main_option("script_location", str(FOLDER))
            command.upgrade(config, "head")
            return True
    finally:
        engine.dispose()


def is_current(url: str) -> bool:
    """True if the database has this release's schema."""
    engine = read_engine(url)
    try:
        with engine.connect() as connection:
            return has_current_schema(connection)
    finally:
        engine.dispose()


def _only_one(connection: Connection) -> None:
    # SQLite needs nothing more: the transaction began with the write lock
    if connection.dialect.name == "postgresql":
        connection.execute(text("SELECT pg_advisory_xact_lock(:key)"), {"key": ADVISORY_LOCK})


def has_current_schema(connection: Connection) -> bool:
    """True if the database has this release's schema."""
    present = MigrationContext.configure(connection).get_current_revision()
    return present == ScriptDirectory(FOLDER).get_current_head() and reports.are_current(connection)
