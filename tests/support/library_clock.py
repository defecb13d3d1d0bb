"""A clock that tests move, in place of the time module of the library."""

from __future__ import annotations

import pytest

from imagefleet import retrying, streaming, waiting


class Clock:
    """Sleeping moves it."""

    def __init__(self) -> None:
        self.now_s = 1000.0

    def monotonic(self) -> float:
        return self.now_s

    def sleep(self, seconds: float) -> None:
        self.now_s += seconds


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    """The clock of retries, streams and polls."""
    clock = Clock()
    for module in (retrying, streaming, waiting):
        monkeypatch.setattr(module, "time", clock)
    return clock
