"""The application in this process: real database and files, what lies beyond them faked."""

from __future__ import annotations

from pathlib import Path

import pytest
from flask.testing import FlaskClient

from app import wiring
from app.db.engine import Database
from app.factory import create_app
from app.wiring import House
from tests.support import fakes
from tests.support.fakes import Bench


@pytest.fixture
def bench(database: Database, tmp_path: Path) -> Bench:
    """Tools with a real database and a real store; the rest are fakes."""
    return fakes.bench(database, tmp_path / "generated-images")


@pytest.fixture
def house(bench: Bench) -> House:
    """The services on them."""
    return wiring.build(bench.tools)


@pytest.fixture
def guarded(bench: Bench) -> House:
    """The services where everybody must show who they are."""
    return wiring.build(bench.with_settings(auth_required=True).tools)


@pytest.fixture
def client(house: House) -> FlaskClient:
    """Speaks HTTP to the application."""
    return create_app(house.settings, house).test_client()
