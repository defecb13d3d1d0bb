"""A scripted server and a client for each test."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from imagefleet.client import Client
from tests.support.library_clock import clock
from tests.support.scripted_server import ScriptedServer

__all__ = ["clock"]


@pytest.fixture
def scripted() -> Iterator[ScriptedServer]:
    with ScriptedServer() as scripted:
        yield scripted


@pytest.fixture
def fleet(scripted: ScriptedServer) -> Iterator[Client]:
    with Client(scripted.url, patience_s=5.0) as fleet:
        yield fleet
