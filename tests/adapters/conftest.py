"""Image hosts that misbehave."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.support.hostile_host import HostileHost


@pytest.fixture
def host() -> Iterator[HostileHost]:
    with HostileHost() as hostile:
        yield hostile


@pytest.fixture
def tls_host() -> Iterator[HostileHost]:
    with HostileHost(tls=True) as hostile:
        yield hostile
