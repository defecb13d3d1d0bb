"""Records the round trips to Redis."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any
from unittest.mock import patch

from redis.connection import AbstractConnection


@contextmanager
def recorded_round_trips() -> Iterator[list[bytes]]:
    """Record the first 80 bytes of each request that this process sends to Redis while inside the block."""
    trips: list[bytes] = []
    send = AbstractConnection.send_packed_command

    def record(connection: AbstractConnection, command: Any, *args: Any, **options: Any) -> None:
        trips.append((command if isinstance(command, bytes) else b"".join(command))[:80])
        send(connection, command, *args, **options)  # type: ignore[no-untyped-call]

    with patch.object(AbstractConnection, "send_packed_command", record):
        yield trips
