"""A scripted server and a client for each test."""

from __future__ import annotations

import time
from collections.abc import Iterator

import pytest

from imagefleet.client import Imagefleet
from tests.support.scripted_server import ScriptedServer


@pytest.fixture
def scripted() -> Iterator[ScriptedServer]:
    with ScriptedServer() as scripted:
        yield scripted


@pytest.fixture
def two_hours_ahead(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Local time is two hours ahead of UTC."""
    with monkeypatch.context() as changed:
        changed.setenv("TZ", "UTC-2")
        time.tzset()
        yield
    time.tzset()


@pytest.fixture
def fleet(scripted: ScriptedServer) -> Iterator[Imagefleet]:
    with Imagefleet(scripted.url, patience_s=5.0) as fleet:
        yield fleet
