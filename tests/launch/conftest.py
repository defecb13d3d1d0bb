"""A folder to start fake programs in, and processes that end with the test."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest

from tests.support.fake_programs import Start, create_project_folder
from tests.support.processes import started


@pytest.fixture
def services(tmp_path: Path) -> Path:
    """A folder with the project's code and the fake program."""
    return create_project_folder(tmp_path / "project")


@pytest.fixture
def start(services: Path) -> Iterator[Start]:
    """Start `python` with these arguments in that folder; all its processes end with the test."""
    with ExitStack() as running:
        yield lambda *arguments, **env: running.enter_context(started([sys.executable, *arguments], services, env))
