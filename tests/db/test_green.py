"""PostgreSQL under gevent, in a process that is patched as the serving ones are."""

from __future__ import annotations

from tests.support.under_gevent import ran_under_gevent

OPENED = """
import gevent, gevent.event, sys
from sqlalchemy import text
from app.db.engine import Database
from app.domain.errors import Unavailable

database = Database(sys.argv[1], green=True)

def asked(question):
    return database.read(lambda c: c.execute(text(question)).scalar_one())

def alone(then):
    def work(tx):
        tx.one_at_a_time("test", "one")
        assert tx.now
        return then()
    return database.write(work)

"""


def said(program: str, url: str) -> str:
    """What the program wrote; nothing may be on standard error."""
    output, problems = ran_under_gevent(OPENED, program, given=url)
    assert problems == ""
    return output


def test_who_waits_for_a_lock_holds_up_nobody(postgres_url: str) -> None:
    program = """
        inside, go_on = gevent.event.Event(), gevent.event.Event()
        first = gevent.spawn(alone, lambda: inside.set() or go_on.wait(60))
        assert inside.wait(30)
        second = gevent.spawn(alone, lambda: "second")
        while not asked("SELECT count(*) FROM pg_stat_activity WHERE wait_event = 'advisory'"):
            gevent.sleep(0)
        print(second.ready(), asked("SELECT 7"))
        go_on.set()
        print(first.get(timeout=30), second.get(timeout=30))
    """
    assert said(program, postgres_url) == "False 7\nTrue second\n"


def test_an_answer_longer_than_the_sockets_buffers_arrives(postgres_url: str) -> None:
    program = """
        print(len(asked("SELECT repeat('x', 5000000)")))
        print(database.read(lambda c: c.execute(text("SELECT length(:t)"), {"t": "x" * 5_000_000}).scalar_one()))
    """
    assert said(program, postgres_url) == "5000000\n5000000\n"


def test_who_is_torn_away_leaves_a_pool_that_is_as_good_as_before(postgres_url: str) -> None:
    program = """
        for steps in range(30):  # more than the pool has
            torn = gevent.spawn(asked, "SELECT pg_sleep(5)")
            for _ in range(steps):
                gevent.sleep(0)
            torn.kill()
        print([asked(f"SELECT {n}") for n in range(3)])
    """
    assert said(program, postgres_url) == "[0, 1, 2]\n"


def test_a_connection_that_postgresql_ends_while_it_is_waited_for_is_a_refusal(postgres_url: str) -> None:
    program = """
        def refused(question):
            try:
                asked(question)
            except Unavailable as refusal:
                return refusal.code

        sleeps = "FROM pg_stat_activity WHERE wait_event = 'PgSleep' AND query LIKE '%ended by another%'"
        waits = gevent.spawn(refused, "SELECT pg_sleep(60) -- ended by another")
        while not asked(f"SELECT count(*) {sleeps}"):
            gevent.sleep(0)
        print(asked(f"SELECT pg_terminate_backend(pid) {sleeps}"), waits.get(timeout=30), asked("SELECT 1"))
    """
    assert said(program, postgres_url) == "True ERR_UNAVAILABLE 1\n"
