"""Connected extensions and their free slots."""

from __future__ import annotations

from typing import Any

import pytest

from app.db import fleet, slots
from app.db.engine import Database
from app.db.fleet import Socket
from app.db.tables import extensions
from app.domain.messages import Authenticate, ExtensionMetadata


def connect(database: Database, name: str, hub: str = "hub-1", n: int = 1, **more: Any) -> Socket | None:
    metadata = ExtensionMetadata(capabilities=("*",), **more)
    hello = Authenticate(extension_id=name, metadata=metadata)
    return database.write(lambda tx: fleet.connect(tx, hello, Socket(hub, f"{name}-{n}")))


def change(database: Database, name: str, **values: Any) -> None:
    statement = extensions.update().where(extensions.c.id == name).values(**values)
    database.write(lambda tx: tx.connection.execute(statement))


def free(database: Database, limit: int = 10, offset: int = 0) -> list[str]:
    return [each.extension_id for each in database.read(lambda c: slots.free(c, limit, offset))]


def test_connecting_returns_the_previous_socket(database: Database) -> None:
    assert connect(database, "a") is None
    assert connect(database, "a", "hub-2", 2) == Socket("hub-1", "a-1")
    assert database.read(lambda c: fleet.socket_of(c, "a")) == Socket("hub-2", "a-2")


def test_a_disconnected_extension_has_no_previous_socket(database: Database) -> None:
    connect(database, "a")
    assert database.write(lambda tx: fleet.disconnect(tx, "a-1")) is True
    assert database.read(lambda c: fleet.socket_of(c, "a")) is None
    assert database.write(lambda tx: fleet.disconnect(tx, "a-1")) is False
    assert connect(database, "a", n=2) is None


def test_a_replaced_socket_can_neither_disconnect_nor_report(database: Database) -> None:
    connect(database, "a")
    connect(database, "a", n=2)
    assert database.write(lambda tx: fleet.disconnect(tx, "a-1")) is False
    assert database.write(lambda tx: fleet.heartbeat(tx, "a-1", available=False)) is False
    assert database.write(lambda tx: fleet.heartbeat(tx, "a-2", available=True)) is True
    assert free(database) == ["a"]


def test_free_extensions_are_listed_in_order_page_by_page(database: Database) -> None:
    for name, success in (("a", 0), ("b", 9), ("c", 9), ("d", 5)):
        connect(database, name, max_concurrent=2)
        change(database, name, last_success_at=success)
    change(database, "b", held=1)
    assert free(database) == ["c", "d", "a", "b"]
    assert [free(database, 3, offset) for offset in (0, 3, 6)] == [["c", "d", "a"], ["b"], []]


@pytest.mark.parametrize(
    "values",
    [
        {"connected": False},
        {"available": False},
        {"held": 2},
        {"cooldown_until": 2**53},
        {"failures": 1, "held": 1},
    ],
    ids=str,
)
def test_an_unavailable_extension_is_not_free_and_has_no_slot(database: Database, values: dict[str, Any]) -> None:
    connect(database, "a", max_concurrent=2)
    (candidate,) = database.read(lambda c: slots.free(c, 1))
    assert database.write(lambda tx: slots.take(tx, candidate)) is True
    change(database, "a", **values)
    assert free(database) == []
    assert database.write(lambda tx: slots.take(tx, candidate)) is False


def test_a_slot_is_taken_only_for_the_connection_that_was_read(database: Database) -> None:
    connect(database, "a")
    (candidate,) = database.read(lambda c: slots.free(c, 1))
    connect(database, "a", n=2)
    assert database.write(lambda tx: slots.take(tx, candidate)) is False


def test_a_short_pause_is_no_failure_and_does_not_shorten_a_longer_one(database: Database) -> None:
    connect(database, "a")
    database.write(lambda tx: fleet.pause(tx, "a-1", 60_000, "away"))
    assert free(database) == []
    assert database.read(lambda c: fleet.failures(c, "a")) == 0
    database.write(lambda tx: fleet.pause(tx, "a-1", 1, "away"))
    assert free(database) == []
    database.write(lambda tx: fleet.pause(tx, "b-1", 60_000, "nobody"))


def test_failures_are_counted_until_a_success(database: Database) -> None:
    connect(database, "a")
    for n in (1, 2):
        database.write(lambda tx: fleet.cool_down(tx, "a", 60_000, "x" * 1_000))
        assert database.read(lambda c: fleet.failures(c, "a")) == n
    (group,) = database.read(fleet.groups)
    assert (group.accepting, group.ready, group.cooldown_reason) == (1, 0, "x" * 400)
    database.write(lambda tx: fleet.succeeded(tx, "a"))
    assert database.read(lambda c: fleet.failures(c, "a")) == 0
    assert free(database) == []
    assert database.write(lambda tx: fleet.end_pause(tx, "a"))
    assert not database.write(lambda tx: fleet.end_pause(tx, "a"))
    assert free(database) == ["a"]
    assert database.read(lambda c: fleet.failures(c, "nobody")) == 0


def test_a_stopped_web_process_disconnects_its_extensions(database: Database) -> None:
    connect(database, "a")
    connect(database, "b")
    connect(database, "c", "hub-2")
    assert sorted(database.write(lambda tx: fleet.forget_hub(tx, "hub-1"))) == ["a-1", "b-1"]
    assert free(database) == ["c"]
    assert database.write(lambda tx: fleet.forget_hub(tx, "hub-1")) == []


def test_a_web_process_without_recent_heartbeat_is_lost(database: Database) -> None:
    database.write(lambda tx: fleet.touch_hub(tx, "hub-1", "http://localhost:3000"))
    assert database.read(lambda c: fleet.hubs_lost(c, 60_000)) == []
    assert database.read(lambda c: fleet.hubs_lost(c, -1)) == ["hub-1"]
