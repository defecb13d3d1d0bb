"""Commits wait for the disk on the loop only where that holds up nobody."""

from __future__ import annotations

from tests.support.under_gevent import ran_under_gevent

OPENED = """
import gevent
from app.db.committing import LONG_S, RARELY, SHARE, Committer

thread_id = monkey.get_original("_thread", "get_ident")
now, here = [0.0], thread_id()

def where():
    return "loop" if thread_id() == here else "thread"

def takes(seconds):
    now[0] += seconds
    return where()

commit = Committer(lambda: now[0])
"""


def ran(program: str) -> str:
    output, problems = ran_under_gevent(OPENED, program, given="")
    assert problems == ""
    return output


def test_a_commit_that_comes_alone_needs_no_thread() -> None:
    assert ran("print(commit(where), commit(where))") == "loop loop\n"


def test_where_others_are_to_be_served_it_has_a_thread() -> None:
    program = """
        others = [gevent.spawn(where) for _ in range(3)]
        print(commit(where))
        gevent.joinall(others)
        print(commit(where))
    """
    assert ran(program) == "thread\nloop\n"


def test_a_disk_that_is_slow_is_waited_for_in_a_thread_and_rarely_on_the_loop() -> None:
    program = """
        print(*(commit(lambda: takes(2 * LONG_S)) for _ in range(SHARE)))
        for _ in range(2):
            now[0] += 2 * RARELY * 2 * LONG_S
            print(commit(lambda: takes(2 * LONG_S)), commit(where))
    """
    slow = "loop " * 6 + "thread " * 2  # the sixth makes it usual
    assert ran(program) == f"{slow.strip()}\nloop thread\nloop thread\n"


def test_a_disk_that_is_fast_again_is_waited_for_on_the_loop() -> None:
    program = """
        commit(lambda: takes(2 * SHARE * LONG_S))
        print(commit(where))
        now[0] += 2 * RARELY * 2 * SHARE * LONG_S
        print(*(commit(where) for _ in range(3)))
    """
    assert ran(program) == "thread\nloop loop loop\n"


def test_one_that_was_held_up_by_chance_does_not_make_a_disk_slow() -> None:
    assert (
        ran("print(*(commit(lambda: takes(t)) for t in (4 * LONG_S, 0, 0, 4 * LONG_S, 0)))") == "loop " * 4 + "loop\n"
    )


def test_one_that_hangs_is_enough_also_where_it_fails() -> None:
    program = """
        def fails():
            takes(2 * SHARE * LONG_S)
            raise OSError("the disk is gone")

        try:
            commit(fails)
        except OSError as error:
            print(error, commit(where))
    """
    assert ran(program) == "the disk is gone thread\n"
