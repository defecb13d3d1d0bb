"""A scripted server and a client for each test."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from imagefleet.client import Client
from tests.support.library_clock import clock
from tests.support.scripted_server import ScriptedServer

__all__ = ["clock"]


@pytest.fixture(autouse=True)
def no_profiles(monkeypatch: pytest.MonkeyPatch, tmp_path_factory: pytest.TempPathFactory) -> None:
    """Keep the profiles and keys of the person who runs the tests out of them."""
    monkeypatch.setenv("IMAGEFLEET_CONFIG_DIR", str(tmp_path_factory.mktemp("profiles")))
    for name in ("IMAGEFLEET_URL", "IMAGEFLEET_API_KEY", "IMAGEFLEET_PROFILE"):
        monkeypatch.delenv(name, raising=False)


@pytest.fixture
def scripted() -> Iterator[ScriptedServer]:
    with ScriptedServer() as scripted:
        yield scripted


@pytest.fixture
def fleet(scripted: ScriptedServer) -> Iterator[Client]:
    with Client(scripted.url, patience_s=5.0) as fleet:
        yield fleet
