"""Fixtures for abuse tests that need no processes."""

from __future__ import annotations

from pathlib import Path

import pytest

from app.db.engine import Database
from tests.support import fakes
from tests.support.fakes import Bench


@pytest.fixture
def bench(database: Database, tmp_path: Path) -> Bench:
    """Ports with a real database and a real store; the rest are fakes."""
    return fakes.bench(database, tmp_path / "generated-images")
