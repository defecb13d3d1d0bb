"""How often PostgreSQL is waited for: once for each way there and back."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any
from unittest.mock import patch

from app.db.direct import DirectConnection


@contextmanager
def counted_ways() -> Iterator[list[object]]:
    """One for each way there and back that is gone over any connection while inside."""
    ways: list[object] = []
    wait = DirectConnection.wait

    def note(connection: DirectConnection, *args: Any, **more: Any) -> Any:
        ways.append(connection)
        return wait(connection, *args, **more)

    with patch.object(DirectConnection, "wait", note):
        yield ways
