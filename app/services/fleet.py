"""What operators ask about extensions."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from app.db import extension_list
from app.db.extension_list import ExtensionDetails
from app.services.ports import Ports

PAGE = 100


@dataclass(frozen=True, slots=True)
class Page:
    """Some extensions; `cursor` continues the list and is None at its end."""

    entries: Sequence[ExtensionDetails]
    cursor: str | None


class Fleet:
    """Looks at every extension that is known; changes nothing."""

    def __init__(self, ports: Ports) -> None:
        self.ports = ports

    def page(self, connected: bool | None, cursor: str | None, limit: int) -> Page:
        """Extensions in the order of their ids, from where `cursor` says: all, or (un)connected ones alone."""
        timeout_ms = self.ports.settings.hub_timeout_ms
        found = self.ports.database.read(lambda c: extension_list.page(c, timeout_ms, connected, cursor, limit + 1))
        shown = found[:limit]
        return Page(shown, shown[-1].id if len(found) > limit else None)

    def all(self, connected: bool | None = None) -> Iterator[ExtensionDetails]:
        """The same, page after page."""
        cursor: str | None = None
        while True:
            page = self.page(connected, cursor, PAGE)
            yield from page.entries
            cursor = page.cursor
            if cursor is None:
                return
