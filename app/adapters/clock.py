"""The clock of this process: for time stamps that people read. What decides is the database's clock."""

from __future__ import annotations

import time

from app.domain.clock import wire_time


def now() -> str:
    """This moment in the contract's form, such as `2024-01-14T12:00:00.000Z`."""
    return wire_time(time.time_ns() // 1_000_000)
