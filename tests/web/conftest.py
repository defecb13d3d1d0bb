"""The application in this process, with a real database and real files; the other ports are fakes."""

from __future__ import annotations

from pathlib import Path

import pytest
from flask.testing import FlaskClient

from app import container
from app.container import Services
from app.db.engine import Database
from app.factory import create_app
from app.services import download, webhook_delivery
from tests.support import fakes
from tests.support.fakes import Bench

PATIENCE_S = 60.0


@pytest.fixture(autouse=True)
def _no_task_ends_early(monkeypatch: pytest.MonkeyPatch) -> None:
    """A task that fetches or sends does all that is due, however slow the machine is."""
    for module in (download, webhook_delivery):
        monkeypatch.setattr(module, "TASK_S", PATIENCE_S)


@pytest.fixture(params=["sqlite", pytest.param("postgresql", marks=pytest.mark.slow)])
def database_url(request: pytest.FixtureRequest) -> str:
    """A fresh, migrated database. Views know nothing of its kind, so that the tests of services suffice for PostgreSQL; here
    `make test-slow` uses it, too."""
    return str(request.getfixturevalue("fresh_sqlite" if request.param == "sqlite" else "fresh_postgres"))


@pytest.fixture
def bench(database: Database, tmp_path: Path) -> Bench:
    """Ports with a real database and a real store; the rest are fakes."""
    return fakes.bench(database, tmp_path / "generated-images")


@pytest.fixture
def services(bench: Bench) -> Services:
    """The services on these ports."""
    return container.build(bench.ports, summary_age_s=0)


@pytest.fixture
def guarded(bench: Bench) -> Services:
    """The services with required authentication."""
    return container.build(bench.with_settings(auth_required=True).ports, summary_age_s=0)


@pytest.fixture
def client(services: Services) -> FlaskClient:
    """An HTTP client of the application."""
    return create_app(services.settings, services).test_client()
