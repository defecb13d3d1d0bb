"""Connections to PostgreSQL that are kept: what becomes of them when work fails, and when nobody gives one back."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
from sqlalchemy import Connection, event, literal_column, select, text
from sqlalchemy.exc import DBAPIError, IntegrityError
from sqlalchemy.exc import TimeoutError as PoolTimeout

from app.db import lent
from app.db.engine import make_engine
from app.db.lent import Lent
from app.db.prepared import Prepared

PID = Prepared(select(literal_column("pg_backend_pid()")))
BROKEN = Prepared(select(literal_column("1 / 0")))
SEEN = "SELECT count(*) FROM seen"
NOTE = "INSERT INTO seen VALUES (1)"


class Made:
    """Lent connections, and how many were made."""

    def __init__(self, url: str) -> None:
        engine = make_engine(url)
        self.count = 0
        event.listen(engine, "connect", self._count)
        self.lent = Lent(engine)
        self.lent.carry_out(
            lambda c: c.execute(text("CREATE TABLE seen (n INTEGER UNIQUE DEFERRABLE INITIALLY DEFERRED)"))
        )
        self.first = self.lent.carry_out(pid)

    def _count(self, *_: object) -> None:
        self.count += 1

    def seen(self) -> int:
        return int(self.lent.carry_out(lambda c: c.execute(text(SEEN)).scalar_one()))


def pid(connection: Connection) -> int:
    """Asked by a prepared statement: SQLAlchemy does not know that a transaction has begun."""
    return int(PID.one(connection)[0])


def note(connection: Connection) -> None:
    connection.execute(text(NOTE))


@pytest.fixture
def made(postgres_url: str) -> Iterator[Made]:
    made = Made(postgres_url)
    yield made
    made.lent.carry_out(lambda c: c.execute(text("DROP TABLE seen")))
    made.lent.close()


def test_who_comes_again_has_the_same_connection_with_nothing_begun(made: Made) -> None:
    def stands(connection: Connection) -> str:
        driver: Any = connection.connection.driver_connection
        return str(driver.info.transaction_status.name)

    assert [made.lent.carry_out(pid) for _ in range(3)] == [made.first] * 3
    assert made.lent.carry_out(stands) == "IDLE"
    assert made.count == 1


def test_what_is_done_is_committed_however_it_was_asked(made: Made) -> None:
    made.lent.carry_out(note)
    added = Prepared(text("INSERT INTO seen VALUES (2)").columns())
    made.lent.carry_out(added.change)
    other = make_engine(str(made.lent.engine.url.render_as_string(hide_password=False)))
    with other.begin() as connection:
        assert connection.execute(text(SEEN)).scalar_one() == 2


def test_what_fails_is_undone_and_its_connection_is_as_good_as_before(made: Made) -> None:
    def refuse(connection: Connection) -> None:
        note(connection)
        raise KeyError("not there")

    def fail(connection: Connection) -> None:
        note(connection)
        BROKEN.one(connection)

    for work, error in ((refuse, KeyError), (fail, DBAPIError)):
        with pytest.raises(error):
            made.lent.carry_out(work)
    assert made.seen() == 0
    assert made.lent.carry_out(pid) == made.first


@pytest.mark.parametrize("through", ["sqlalchemy", "the driver"])
def test_a_commit_that_fails_says_what_was_wrong(made: Made, through: str) -> None:
    twice = Prepared(text("INSERT INTO seen VALUES (1), (1)").columns())

    def work(connection: Connection) -> None:
        if through == "sqlalchemy":
            connection.execute(text("INSERT INTO seen VALUES (1), (1)"))
        else:
            twice.change(connection)

    with pytest.raises(IntegrityError):
        made.lent.carry_out(work)
    assert made.seen() == 0


def test_one_that_postgresql_ended_is_made_anew(made: Made) -> None:
    def end(connection: Connection) -> None:
        connection.exec_driver_sql(f"SELECT pg_terminate_backend({made.first}, 10000)")

    made.lent.carry_out(lambda _: made.lent.carry_out(end))  # the first is in use meanwhile, and kept last
    assert made.lent.carry_out(pid) != made.first
    assert made.count == 2


def test_one_that_was_ended_in_the_midst_of_work_is_given_up(made: Made) -> None:
    other = Lent(make_engine(made.lent.engine.url.render_as_string(hide_password=False)))

    def ended(connection: Connection) -> None:
        own = pid(connection)
        other.carry_out(lambda c: c.exec_driver_sql(f"SELECT pg_terminate_backend({own}, 10000)"))
        pid(connection)

    with pytest.raises(DBAPIError):
        made.lent.carry_out(ended)
    other.close()
    assert made.lent.carry_out(pid) != made.first
    assert made.count == 2


def test_work_that_is_torn_away_takes_its_connection_with_it(made: Made) -> None:
    def torn(connection: Connection) -> None:
        note(connection)
        raise SystemExit

    with pytest.raises(SystemExit):
        made.lent.carry_out(torn)
    assert made.seen() == 0
    assert made.count == 2


def test_who_finds_none_waits_for_one_and_no_longer_than_may_be(made: Made, monkeypatch: pytest.MonkeyPatch) -> None:
    let_go, busy = threading.Event(), threading.Semaphore(0)

    def hold(connection: Connection) -> int:
        busy.release()
        assert let_go.wait(60)
        return pid(connection)

    with ThreadPoolExecutor(lent.MOST + 1) as pool:
        held = [pool.submit(made.lent.carry_out, hold) for _ in range(lent.MOST)]
        for _ in held:
            assert busy.acquire(timeout=60)
        with monkeypatch.context() as patched:
            patched.setattr(lent, "PATIENCE_S", 0.05)
            with pytest.raises(PoolTimeout):
                made.lent.carry_out(pid)
        waits = pool.submit(made.lent.carry_out, pid)
        let_go.set()
        used = {each.result(60) for each in held}
        assert waits.result(60) in used
    assert (len(used), made.count) == (lent.MOST, lent.MOST)
