"""Styles as rows: a user's own, and everybody's, whose owner is None. Names match without case."""

from collections.abc import Sequence
from typing import Any, NamedTuple

from sqlalchemy import (
    ColumnElement,
    Connection,
    Select,
    bindparam,
    delete,
    func,
    select,
    union_all,
    update,
)

from app.db.engine import Transaction
from app.db.tables import SHARED, style_key, styles
from app.domain.styles import Style, name_key


class StoredStyle(NamedTuple):
    """A style as it is stored. Times in ms since the epoch; `owner` is None for everybody's."""

    owner: str | None
    style: Style
    created_at: int
    updated_at: int


_OF_STYLE = ("name", "template", "variables", "model", "parameters", "description")
_COLUMNS: list[ColumnElement[Any]] = [styles.c[name] for name in ("owner", "created_at", "updated_at", *_OF_STYLE)]
_ALL = select(*_COLUMNS)
_named = style_key == bindparam("key")
_FIND = union_all(_ALL.where(styles.c.owner == bindparam("owner"), _named), _ALL.where(SHARED, _named))


def find(connection: Connection, owner: str, name: str) -> StoredStyle | None:
    """The style that a request of `owner` means with this name: their own one, or else everybody's."""
    found = [_from_row(row) for row in connection.execute(_FIND, {"owner": owner, "key": name_key(name)})]
    return min(found, key=lambda each: each.owner is None, default=None)


def find_of(connection: Connection, owner: str | None, name: str) -> StoredStyle | None:
    """The style of exactly this owner; None is everybody."""
    row = connection.execute(_ALL.where(_one(owner, name))).first()
    return None if row is None else _from_row(row)


def page(connection: Connection, owner: str | None, after: str | None, limit: int) -> list[StoredStyle]:
    """The styles of an owner in the order of their names, after the one named `after`."""
    query = _ALL.where(_of(owner)).order_by(style_key).limit(limit)
    return _listed(connection, query if after is None else query.where(style_key > name_key(after)))


def names(connection: Connection, owner: str | None, limit: int) -> Sequence[str]:
    """The names of an owner's styles, in order."""
    query = select(styles.c.name).where(_of(owner)).order_by(style_key).limit(limit)
    return connection.execute(query).scalars().all()


def count(connection: Connection, owner: str | None) -> int:
    return connection.execute(select(func.count()).select_from(styles).where(_of(owner))).scalar_one()


def add(tx: Transaction, style_id: str, owner: str | None, style: Style) -> StoredStyle | None:
    """Add a style; None if the owner has one of this name."""
    values = {"id": style_id, "owner": owner, "created_at": tx.now, "updated_at": tx.now, **_values(style)}
    row = tx.connection.execute(tx.upsert(styles).values(values).on_conflict_do_nothing().returning(*_COLUMNS)).first()
    return None if row is None else _from_row(row)


def replace(tx: Transaction, owner: str | None, style: Style) -> StoredStyle | None:
    """Replace the owner's style of this name, which keeps its name; None if there is none."""
    values = {name: value for name, value in _values(style).items() if name != "name"}
    changed = update(styles).where(_one(owner, style.name)).values(updated_at=tx.now, **values)
    row = tx.connection.execute(changed.returning(*_COLUMNS)).first()
    return None if row is None else _from_row(row)


def remove(tx: Transaction, owner: str | None, name: str) -> bool:
    """Remove the owner's style of this name; False if there is none."""
    return tx.connection.execute(delete(styles).where(_one(owner, name))).rowcount == 1


def _of(owner: str | None) -> ColumnElement[bool]:
    return SHARED if owner is None else styles.c.owner == owner


def _one(owner: str | None, name: str) -> ColumnElement[bool]:
    return _of(owner) & (style_key == name_key(name))


def _values(style: Style) -> dict[str, Any]:
    return {name: getattr(style, name) for name in _OF_STYLE}


def _listed(connection: Connection, query: Select[Any]) -> list[StoredStyle]:
    return [_from_row(row) for row in connection.execute(query)]


def _from_row(row: Sequence[Any]) -> StoredStyle:
    owner, created_at, updated_at, *style = tuple(row)
    return StoredStyle(owner, Style(*style), created_at, updated_at)
