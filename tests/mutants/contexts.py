"""A plugin for pytest: coverage records which test ran each line.

Run it as `coverage run -m pytest -p tests.mutants.contexts`.
"""

from __future__ import annotations

from collections.abc import Iterator

import coverage
import pytest


@pytest.hookimpl(wrapper=True)
def pytest_runtest_protocol(item: pytest.Item) -> Iterator[None]:
    """Count lines from here on for this test."""
    measured = coverage.Coverage.current()
    assert measured is not None, "run pytest under coverage"
    measured.switch_context(item.nodeid)
    try:
        return (yield)
    finally:
        measured.switch_context("")
