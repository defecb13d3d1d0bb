"""A folder to launch stand-ins in, and processes that end with the test."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest

from tests.support.processes import started
from tests.support.stand_ins import Start, furnish


@pytest.fixture
def services(tmp_path: Path) -> Path:
    """A furnished folder."""
    return furnish(tmp_path / "house")


@pytest.fixture
def start(services: Path) -> Iterator[Start]:
    """Start `python` with these arguments in the house; nothing of it survives the test."""
    with ExitStack() as running:
        yield lambda *arguments, **env: running.enter_context(started([sys.executable, *arguments], services, env))
