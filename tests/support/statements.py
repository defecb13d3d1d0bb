"""Recording SQL statements."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from sqlalchemy import Engine, event


@contextmanager
def noted(containing: str = "") -> Iterator[list[tuple[str, Any]]]:
    """The statements with these words in them, and their values, as they are sent to any database while inside.

    Without those that begin and end transactions, of which only SQLite's BEGIN passes here.
    """
    statements: list[tuple[str, Any]] = []

    def note(_c: object, _cursor: object, statement: str, values: Any, *_: object) -> None:
        if containing in statement and not statement.startswith("BEGIN"):
            statements.append((statement, values))

    event.listen(Engine, "before_cursor_execute", note)
    try:
        yield statements
    finally:
        event.remove(Engine, "before_cursor_execute", note)
