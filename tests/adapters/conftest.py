"""Image hosts that misbehave."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.support.hostile_server import HostileServer


@pytest.fixture
def host() -> Iterator[HostileServer]:
    with HostileServer() as hostile:
        yield hostile


@pytest.fixture
def tls_host() -> Iterator[HostileServer]:
    with HostileServer(tls=True) as hostile:
        yield hostile
