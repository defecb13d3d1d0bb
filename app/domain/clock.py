"""Time as the house keeps it: whole milliseconds since the epoch inside, RFC 3339 with milliseconds and Z outside."""

from __future__ import annotations

from datetime import UTC, datetime
from functools import lru_cache


def wire_time(at_ms: int) -> str:
    """`1705233600000` as `2024-01-14T12:00:00.000Z`, the contract's form."""
    seconds, ms = divmod(at_ms, 1000)
    return f"{_whole(seconds)}.{ms:03d}Z"


@lru_cache(1024)
def _whole(seconds: int) -> str:
    """Kept: most of what is told at one moment happened in the same few seconds."""
    return datetime.fromtimestamp(seconds, UTC).replace(tzinfo=None).isoformat()
