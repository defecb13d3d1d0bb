"""The list of extensions, for operators."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from app.db import extension_list, fleet
from app.db.extension_list import ExtensionDetails
from app.domain import policy
from app.domain.image_request import DEFAULT_MODEL
from app.domain.operations import MARK
from app.services.ports import Ports

PAGE = 100


@dataclass(frozen=True, slots=True)
class ExtensionPage:
    """Some extensions; `cursor` continues the list and is None at its end."""

    extensions: Sequence[ExtensionDetails]
    cursor: str | None


class Fleet:
    def __init__(self, ports: Ports) -> None:
        self.ports = ports

    def page(self, connected: bool | None, cursor: str | None, limit: int) -> ExtensionPage:
        """Extensions ordered by id, starting after `cursor`: all, or only those that are connected or not."""
        timeout_ms = self.ports.settings.hub_timeout_ms
        found = self.ports.database.read(lambda c: extension_list.page(c, timeout_ms, connected, cursor, limit + 1))
        shown = found[:limit]
        return ExtensionPage(shown, shown[-1].id if len(found) > limit else None)

    def addresses(self) -> list[str]:
        """Where clients reach the running service: one address, or several where its web processes differ."""
        return self.ports.database.read(lambda c: fleet.addresses(c, self.ports.settings.hub_timeout_ms))

    def models(self) -> list[str]:
        """The models of the connected extensions, in alphabetical order; the default model if one of them makes any."""
        return policy.listed_models(self.ports.database.read(fleet.groups), DEFAULT_MODEL)

    def model(self, name: str) -> str | None:
        """The model of this name in the spelling of an extension that makes it; None if no connected one does."""
        if MARK in name:  # it would be the key of a queue
            return None
        able = [each for each in self.ports.database.read(fleet.groups) if policy.can_do(each.capabilities, name)]
        return policy.model_for(able[0].capabilities, name) if able else None

    def all(self, connected: bool | None = None) -> Iterator[ExtensionDetails]:
        """All of them, read page by page."""
        cursor: str | None = None
        while True:
            page = self.page(connected, cursor, PAGE)
            yield from page.extensions
            cursor = page.cursor
            if cursor is None:
                return
