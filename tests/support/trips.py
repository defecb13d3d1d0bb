"""Counting the round trips to Redis."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any
from unittest.mock import patch

from redis.connection import AbstractConnection


@contextmanager
def counted_trips() -> Iterator[list[bytes]]:
    """The beginning of what is sent to any Redis by this process while inside, one for each way there."""
    trips: list[bytes] = []
    send = AbstractConnection.send_packed_command

    def note(connection: AbstractConnection, command: Any, *args: Any, **options: Any) -> None:
        trips.append((command if isinstance(command, bytes) else b"".join(command))[:80])
        send(connection, command, *args, **options)  # type: ignore[no-untyped-call]

    with patch.object(AbstractConnection, "send_packed_command", note):
        yield trips
