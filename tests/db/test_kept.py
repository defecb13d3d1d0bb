from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from sqlalchemy import Connection, event, text
from sqlalchemy.exc import OperationalError

from app.db.engine import make_engine
from app.db.kept import Kept


class Noted:
    """Kept connections, and how often the pool was asked for one."""

    def __init__(self, url: str) -> None:
        self.engine = make_engine(url, asks_only=True)
        self.kept = Kept(self.engine)
        self.checkouts: list[object] = []
        event.listen(self.engine, "checkout", lambda *_: self.checkouts.append(None))


@pytest.fixture
def noted(tmp_path: Path) -> Iterator[Noted]:
    noted = Noted(f"sqlite:///{tmp_path / 'a.db'}")
    yield noted
    noted.kept.close()
    noted.engine.dispose()


def one(connection: Connection) -> int:
    return int(connection.execute(text("SELECT 1")).scalar_one())


def test_who_asks_again_has_the_same_connection(noted: Noted) -> None:
    assert [noted.kept.ask(one) for _ in range(3)] == [1, 1, 1]
    assert len(noted.checkouts) == 1


def test_who_asks_while_another_is_at_it_has_a_connection_of_its_own(noted: Noted) -> None:
    assert noted.kept.ask(lambda connection: one(connection) + noted.kept.ask(one)) == 2
    assert len(noted.checkouts) == 2
    assert noted.kept.ask(lambda connection: one(connection) + noted.kept.ask(one)) == 2
    assert len(noted.checkouts) == 2


def test_a_connection_on_which_sqlite_failed_is_not_asked_again(noted: Noted) -> None:
    with pytest.raises(OperationalError):
        noted.kept.ask(lambda connection: connection.execute(text("SELECT nothing")))
    assert noted.kept.ask(one) == 1
    assert len(noted.checkouts) == 2


def test_a_refusal_leaves_the_connection_as_good_as_before(noted: Noted) -> None:
    def refuse(connection: Connection) -> None:
        one(connection)
        raise KeyError("not there")

    with pytest.raises(KeyError):
        noted.kept.ask(refuse)
    assert noted.kept.ask(one) == 1
    assert len(noted.checkouts) == 1


def test_what_is_asked_together_is_answered_from_one_view(noted: Noted) -> None:
    def seen(connection: Connection) -> int:
        return int(connection.execute(text("SELECT count(*) FROM seen")).scalar_one())

    with noted.engine.connect() as other:
        other.execute(text("CREATE TABLE seen (n INTEGER)"))

        def work(connection: Connection) -> tuple[int, int]:
            before = seen(connection)
            other.execute(text("INSERT INTO seen VALUES (1)"))
            return before, seen(connection)

        assert noted.kept.ask(work) == (0, 0)
        assert noted.kept.ask(seen) == 1
