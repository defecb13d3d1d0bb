"""Prepared statements do what SQLAlchemy's own execution does, on both databases."""

from __future__ import annotations

import pytest
from sqlalchemy import bindparam, delete, insert, select, update
from sqlalchemy.exc import IntegrityError

from app.db.engine import Database, Transaction
from app.db.prepared import Prepared
from app.db.tables import extensions
from tests.support.statements import noted

COLUMNS = ("id", "capabilities", "max_concurrent", "available", "connected", "connected_at", "heard_at")
ADD = Prepared(insert(extensions).inline(), COLUMNS)
FOUND = Prepared(
    select(*(extensions.c[name] for name in COLUMNS))
    .where(extensions.c.max_concurrent > bindparam("more_than"))
    .limit(2)
)
RAISE = Prepared(
    update(extensions)
    .where(extensions.c.id == bindparam("extension_id"))
    .values(max_concurrent=extensions.c.max_concurrent + 1)
    .returning(extensions.c.max_concurrent, extensions.c.capabilities)
)
FORGET = Prepared(delete(extensions).where(extensions.c.available == bindparam("whether")))


def row(extension_id: str, slots: int = 3, *, available: bool = True) -> dict[str, object]:
    values = (extension_id, ["*", "ä"], slots, available, False, 1, 2**40)
    return dict(zip(COLUMNS, values, strict=True))


def add(database: Database, *rows: dict[str, object]) -> None:
    assert database.write(lambda tx: [ADD.change(tx.connection, each) for each in rows]) == [1] * len(rows)


def found(database: Database, more_than: int = 0) -> list[dict[str, object]]:
    rows = database.read(lambda c: FOUND.rows(c, {"more_than": more_than}))
    return sorted((dict(zip(COLUMNS, each, strict=True)) for each in rows), key=str)


def test_values_come_back_as_they_went_there(database: Database) -> None:
    given = [row("e1"), row("e2", available=False)]
    add(database, *given)
    assert found(database) == given
    assert type(found(database)[0]["available"]) is bool


def test_it_is_asked_with_other_values_each_time(database: Database) -> None:
    add(database, row("e1", 1), row("e2", 2))
    assert [each["id"] for each in found(database, 1)] == ["e2"]
    assert database.read(lambda c: FOUND.row(c, {"more_than": 2})) is None


def test_a_change_tells_what_it_led_to_and_how_many_it_met(database: Database) -> None:
    add(database, row("e1"), row("e2"), row("e3", available=False))
    raised = database.write(lambda tx: RAISE.row(tx.connection, {"extension_id": "e1"}))
    assert raised is not None
    assert list(raised) == [4, ["*", "ä"]]
    assert database.write(lambda tx: FORGET.change(tx.connection, {"whether": True})) == 2
    assert [each["id"] for each in found(database)] == ["e3"]


def test_an_error_is_sqlalchemys_and_undoes_the_transaction(database: Database) -> None:
    add(database, row("e1"))
    with pytest.raises(IntegrityError):
        add(database, row("e2") | {"id": "e1"})
    assert found(database) == [row("e1")]


def test_what_is_to_be_done_soon_is_done_before_what_is_asked_next(database: Database) -> None:
    def work(tx: Transaction) -> int:
        ADD.soon(tx.connection, row("e1"))
        raised = RAISE.soon(tx.connection, {"extension_id": "e1"})
        slots, _ = RAISE.one(tx.connection, {"extension_id": "e1"})
        assert list(raised() or ()) == [4, ["*", "ä"]]
        return int(slots)

    assert database.write(work) == 5
    assert found(database) == [row("e1", 5)]


def test_what_is_to_be_done_last_is_done_with_the_commit(database: Database) -> None:
    database.write(lambda tx: ADD.soon(tx.connection, row("e1")))
    assert found(database) == [row("e1")]


@pytest.mark.parametrize("looks", [True, False])
def test_what_could_not_be_done_soon_undoes_the_transaction(database: Database, looks: bool) -> None:
    def work(tx: Transaction) -> None:
        ADD.soon(tx.connection, row("e2"))
        told = ADD.soon(tx.connection, row("e1"))
        if looks:
            told()

    add(database, row("e1"))
    with pytest.raises(IntegrityError):
        database.write(work)
    assert found(database) == [row("e1")]


def test_who_listens_for_statements_hears_of_it(database: Database) -> None:
    with noted("UPDATE extensions") as statements:
        database.write(lambda tx: RAISE.row(tx.connection, {"extension_id": "e1"}))
    assert len(statements) == 1
