"""Styles: what users and operators define, and what requests are made with."""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from functools import partial
from heapq import merge

from sqlalchemy import Connection

from app.db import styles
from app.db.engine import Transaction
from app.db.styles import StoredStyle
from app.domain.errors import AlreadyExists, NotFound, TooManyStyles
from app.domain.ids import uuid7
from app.domain.image_request import ImageRequest
from app.domain.styles import NAME, STYLES_EACH, Style, apply, check, name_key, unknown
from app.services.ports import Ports

Resolver = Callable[[ImageRequest], ImageRequest]


@dataclass(frozen=True, slots=True)
class StylePage:
    """Some styles, ordered by name; `cursor` continues the list and is None at its end."""

    styles: Sequence[StoredStyle]
    cursor: str | None


class Styles:
    """An owner is a user's id, or None for everybody's styles."""

    def __init__(self, ports: Ports) -> None:
        self.ports = ports

    def resolver(self, connection: Connection, owner: str, name: str | None) -> Resolver:
        """A function that applies the style to requests of `owner`; without a name it only refuses variables.

        The style is read once, here; the function reads nothing. It raises InvalidVariables, InvalidPrompt and
        InvalidRequest, this raises UnknownStyle.
        """
        return partial(apply, None if name is None else self._known(connection, owner, name))

    def applied(self, connection: Connection, order: ImageRequest) -> ImageRequest:
        """The request with its style applied, if it names one. Raises as `resolver` and its function do."""
        return self.resolver(connection, order.user_id, order.style)(order)

    def create(self, owner: str | None, style: Style) -> StoredStyle:
        """Store a new style. Raises InvalidRequest, AlreadyExists, TooManyStyles, Unavailable."""
        check(style)

        def work(tx: Transaction) -> StoredStyle:
            tx.lock("styles", owner or "")
            if styles.count(tx.connection, owner) >= STYLES_EACH:
                raise TooManyStyles(f"{_whose(owner)} {STYLES_EACH:,} styles, the most allowed: remove one.")
            created = styles.add(tx, uuid7(tx.now, self.ports.randomness.bytes(10)), owner, style)
            if created is None:
                raise AlreadyExists(
                    f"{_whose(owner)} a style {style.name}: change it with PUT, or choose another name."
                )
            return created

        return self.ports.database.write(work)

    def find(self, user: str, name: str, *, shared: bool = False) -> StoredStyle:
        """The style that requests of the user mean with this name, or everybody's. Raises NotFound, Unavailable."""

        def work(connection: Connection) -> StoredStyle | None:
            return styles.find_of(connection, None, name) if shared else styles.find(connection, user, name)

        found = self.ports.database.read(work) if NAME.fullmatch(name) else None
        if found is None:
            raise NotFound("Not found: there is no style of this name; GET /api/styles lists them.")
        return found

    def replace(self, owner: str | None, style: Style) -> StoredStyle:
        """Replace the owner's style of this name. Requests that were made keep what they were made with.

        Raises InvalidRequest, NotFound, Unavailable.
        """
        check(style)
        known = NAME.fullmatch(style.name)
        replaced = self.ports.database.write(lambda tx: styles.replace(tx, owner, style)) if known else None
        if replaced is None:
            raise _not_theirs(owner)
        return replaced

    def remove(self, owner: str | None, name: str) -> None:
        """Remove the owner's style. Raises NotFound, Unavailable."""
        if not NAME.fullmatch(name) or not self.ports.database.write(lambda tx: styles.remove(tx, owner, name)):
            raise _not_theirs(owner)

    def page(self, user: str, cursor: str | None, limit: int, *, shared: bool | None = None) -> StylePage:
        """The styles that requests of the user can name, after the one named `cursor`; only everybody's or only the
        user's own if `shared` says so. One of everybody's is left out if the user has one of its name. Raises Unavailable.
        """
        owners = {None: (user, None), True: (None,), False: (user,)}[shared]

        def work(connection: Connection) -> list[StoredStyle]:
            lists = [styles.page(connection, owner, cursor, limit + 1) for owner in owners]
            return _without_hidden(merge(*lists, key=lambda each: name_key(each.style.name)))

        found = self.ports.database.read(work)
        shown = found[:limit]
        return StylePage(shown, shown[-1].style.name if len(found) > limit else None)

    def _known(self, connection: Connection, owner: str, name: str) -> Style:
        found = styles.find(connection, owner, name)
        if found is None:
            available = [each for whose in (None, owner) for each in styles.names(connection, whose, STYLES_EACH)]
            raise unknown(name, available)
        return found.style


def _without_hidden(found: Iterable[StoredStyle]) -> list[StoredStyle]:
    """The first of each name: in a list of a user's own styles and everybody's, the user's own."""
    first: dict[str, StoredStyle] = {}
    for each in found:
        first.setdefault(name_key(each.style.name), each)
    return list(first.values())


def _whose(owner: str | None) -> str:
    return "Everybody has" if owner is None else "You have"


def _not_theirs(owner: str | None) -> NotFound:
    if owner is None:
        return NotFound("Not found: there is no style of this name for everybody.")
    return NotFound("Not found: you have no style of this name. One of everybody's is addressed with ?shared=true.")
