"""The clock of this process, for time stamps in messages. Decisions are made by the database's clock."""

from __future__ import annotations

import time

from app.domain.clock import wire_time


def now() -> str:
    """The current time in the contract's format, such as `2024-01-14T12:00:00.000Z`."""
    return wire_time(time.time_ns() // 1_000_000)
