"""Fixtures for the tests of services: each runs on SQLite and on PostgreSQL."""

from __future__ import annotations

from pathlib import Path

import pytest

from app.db.engine import Database
from app.services import download, webhook_delivery
from tests.support import fakes
from tests.support.fakes import Bench
from tests.support.harness import Harness

PATIENCE_S = 60.0


@pytest.fixture(autouse=True)
def _no_task_ends_early(monkeypatch: pytest.MonkeyPatch) -> None:
    """A task that fetches or sends does all that is due, however slow the machine is."""
    for module in (download, webhook_delivery):
        monkeypatch.setattr(module, "TASK_S", PATIENCE_S)


@pytest.fixture
def bench(database: Database, tmp_path: Path) -> Bench:
    """Ports with a real database and a real store; the rest are fakes."""
    return fakes.bench(database, tmp_path / "generated-images")


@pytest.fixture
def harness(bench: Bench) -> Harness:
    """All services on those ports, and methods to act on them as clients and extensions do."""
    return Harness.of(bench)
