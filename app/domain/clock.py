"""Time is whole milliseconds since the epoch inside the service, and RFC 3339 with milliseconds and Z on the wire."""

import time
from datetime import UTC, datetime


def wire_time(at_ms: int) -> str:
    """`1705233600000` as `2024-01-14T12:00:00.000Z`, the contract's form."""
    return datetime.fromtimestamp(at_ms / 1000, UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")


def wire_now() -> str:
    """The time of this process's clock, for messages. Decisions are made by the database's clock."""
    return wire_time(time.time_ns() // 1_000_000)
