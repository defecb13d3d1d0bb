"""How services are joined where the process serves with gevent."""

from __future__ import annotations

from pathlib import Path

from tests.support.under_gevent import ran_under_gevent

OPENED = """
import gevent, sqlite3, sys, threading
from sqlalchemy import text
from app.db.engine import Database
from app.domain.errors import LeaseLost
from app.container import _committer

def note(n):
    database.write(lambda tx: tx.connection.execute(text("INSERT INTO seen VALUES (:n)"), {"n": n}))

def seen():
    return database.read(lambda c: list(c.execute(text("SELECT n FROM seen ORDER BY n")).scalars()))

class SlowDisk:
    def __init__(self):
        self.commit_begun, self._lock = threading.Event(), monkey.get_original("_thread", "allocate_lock")()
        self._watcher = gevent.get_hub().loop.async_()
        self._watcher.start(self.commit_begun.set)
        self._lock.acquire()
        disks.append(self)

    def commit(self, work):
        self._watcher.send()
        with self._lock:
            return work()

    def is_done(self):
        self._lock.release()

def commit(work):
    return off_the_loop((lambda: disks[0].commit(work)) if disks else work)

off_the_loop, disks = _committer(), []
off_the_loop(lambda: monkey.get_original("time", "sleep")(0.1))  # a disk that was slow is not waited for on the loop
database = Database(f"sqlite:///{sys.argv[1]}", commit)
database.write(lambda tx: tx.connection.execute(text("CREATE TABLE seen (n INTEGER)")))
"""


def ran(program: str, tmp_path: Path) -> tuple[str, str]:
    """What a process that serves with gevent wrote to its output and to standard error."""
    return ran_under_gevent(OPENED, program, given=str(tmp_path / "a.db"))


def test_a_refusal_in_a_thread_of_the_pool_arrives_and_prints_nothing(tmp_path: Path) -> None:
    program = """
        def refuse():
            raise LeaseLost

        try:
            off_the_loop(refuse)
        except LeaseLost:
            print(off_the_loop(lambda: "refused"))
    """
    assert ran(program, tmp_path) == ("refused\n", "")


def test_while_another_process_writes_those_who_wait_hold_up_nobody(tmp_path: Path) -> None:
    program = """
        other = sqlite3.connect(sys.argv[1], isolation_level=None)
        other.execute("BEGIN IMMEDIATE")
        writes = gevent.spawn(note, 1)
        for _ in range(20):
            gevent.sleep(0.001)
        print(seen())
        other.execute("COMMIT")
        writes.get(timeout=30)
        print(seen())
    """
    assert ran(program, tmp_path) == ("[]\n[1]\n", "")


def test_while_the_disk_is_waited_for_others_are_served(tmp_path: Path) -> None:
    program = """
        disk = SlowDisk()
        writes = gevent.spawn(note, 1)
        assert disk.commit_begun.wait(30)
        print(seen())
        disk.is_done()
        writes.get(timeout=30)
        print(seen())
    """
    assert ran(program, tmp_path) == ("[]\n[1]\n", "")


def test_a_write_that_is_torn_away_from_its_commit_harms_no_later_one(tmp_path: Path) -> None:
    program = """
        disk = SlowDisk()
        torn = gevent.spawn(note, 1)
        assert disk.commit_begun.wait(30)
        off_the_loop._careful_until = 0.0  # what is under way is waited for although the disk is trusted again
        gevent.spawn_later(0.05, disk.is_done)
        torn.kill()
        note(2)
        print(seen())
    """
    assert ran(program, tmp_path) == ("[1, 2]\n", "")
