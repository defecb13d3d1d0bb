"""Recording SQL statements."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from sqlalchemy import Engine, event


@contextmanager
def recorded_statements(containing: str = "") -> Iterator[list[tuple[str, Any]]]:
    """Record the SQL statements that contain this text, with their values, while inside the block.

    Statements that begin and end transactions are left out.
    """
    statements: list[tuple[str, Any]] = []

    def record(_c: object, _cursor: object, statement: str, values: Any, *_: object) -> None:
        if containing in statement and not statement.startswith("BEGIN"):
            statements.append((statement, values))

    event.listen(Engine, "before_cursor_execute", record)
    try:
        yield statements
    finally:
        event.remove(Engine, "before_cursor_execute", record)
