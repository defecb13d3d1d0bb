"""Waiting for changes."""

from __future__ import annotations

import threading
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from typing import Any

from app.services import changes
from app.services.watching import Watch
from tests.support.harness import Harness
from tests.support.statements import recorded_statements
from tests.support.waiting import until


def change(request_id: str, version: int) -> dict[str, Any]:
    return {"requestId": request_id, "version": version}


def test_a_change_published_before_the_wait_is_not_lost(harness: Harness) -> None:
    with harness.services.watching.watch("r") as watch:
        harness.services.watching.notify(change("r", 2))
        assert watch.wait(0) == change("r", 2)


def test_a_change_ends_the_wait(harness: Harness) -> None:
    with harness.services.watching.watch("r") as watch, ThreadPoolExecutor(1) as pool:
        waiting = pool.submit(watch.wait, 10)
        harness.services.watching.notify(change("r", 2))
        assert waiting.result(5) == change("r", 2)


def test_without_a_change_the_wait_times_out(harness: Harness) -> None:
    with harness.services.watching.watch("r") as watch:
        assert watch.wait(0.01) is None
        assert watch.wait(-1) is None


def test_only_the_newest_of_several_changes_is_delivered(harness: Harness) -> None:
    with harness.services.watching.watch("r") as watch:
        for version in (2, 4, 3):
            harness.services.watching.notify(change("r", version))
        assert watch.wait(0) == change("r", 4)
        assert watch.wait(0) is None


def test_previews_are_announced_to_those_who_want_them_after_changes(harness: Harness) -> None:
    def notice(position: int, progress: int) -> dict[str, Any]:
        return {"requestId": "r", "preview": {"position": position, "progress": progress}}

    watching = harness.services.watching
    with watching.watch("r", previews=True) as wants, watching.watch("r") as other:
        for each in (notice(0, 10), notice(1, 10), notice(0, 20), change("r", 2)):
            watching.notify(each)
        assert [wants.wait(0) for _ in range(4)] == [change("r", 2), notice(0, 20), notice(1, 10), None]
        assert [other.wait(0) for _ in range(2)] == [change("r", 2), None]


def test_changes_that_the_watcher_knows_are_skipped() -> None:
    watch = Watch(5)
    watch.notify(change("r", 4))
    watch.notify(change("r", 5))
    assert watch.wait(0) is None


def test_changes_that_turn_out_to_be_known_are_skipped() -> None:
    watch = Watch(0)
    watch.notify(change("r", 5))
    watch.skip_to(5)
    assert watch.wait(0) is None
    watch.notify(change("r", 6))
    watch.skip_to(5)
    assert watch.wait(0) == change("r", 6)


def test_only_the_watchers_of_a_request_are_notified(harness: Harness) -> None:
    watching = harness.services.watching
    with watching.watch("r") as one, watching.watch("r", version=1) as two, watching.watch("other") as three:
        assert watching.count == 3
        watching.notify(change("r", 2))
        assert (one.wait(0), two.wait(0), three.wait(0)) == (change("r", 2), change("r", 2), None)
    assert watching.count == 0


def test_a_watcher_that_stops_is_removed(harness: Harness) -> None:
    try:
        with harness.services.watching.watch("r"):
            raise RuntimeError("the client went away")
    except RuntimeError:
        pass
    assert harness.services.watching.count == 0
    harness.services.watching.notify(change("r", 2))


def test_catching_up_delivers_changes_that_the_bus_lost(harness: Harness) -> None:
    holder, job = harness.connect_and_start()
    with harness.services.watching.watch(job.id, job.version) as watch:
        harness.report_progress(holder, job, 40)
        assert watch.wait(0) is None
        harness.services.watching.catch_up()
        assert watch.wait(0) == changes.change(harness.reload(job))
        harness.services.watching.catch_up()
        assert watch.wait(0) is None


def test_catching_up_is_one_query_for_many_watchers(harness: Harness) -> None:
    made = [harness.submit() for _ in range(5)]
    with ExitStack() as watching:
        watches = [watching.enter_context(harness.services.watching.watch(job.id)) for job in made for _ in range(20)]
        with recorded_statements("FROM jobs") as queries:
            harness.services.watching.catch_up()
        assert len(queries) == 1
        assert all(watch.wait(0) is not None for watch in watches)


def test_without_watchers_catching_up_makes_no_query(harness: Harness) -> None:
    harness.submit()
    with recorded_statements() as queries:
        harness.services.watching.catch_up()
    assert queries == []


def test_watchers_start_and_stop_while_changes_are_published(harness: Harness) -> None:
    watching, stop = harness.services.watching, threading.Event()

    def publish() -> None:
        while not stop.is_set():
            for n in range(10):
                watching.notify(change(f"r{n}", 1))
            assert watching.count >= 0

    def wait(n: int) -> None:
        for _ in range(50):
            with watching.watch(f"r{n % 10}") as watch:
                assert watch.wait(5) is not None

    with ThreadPoolExecutor(9) as pool:
        publishing = pool.submit(publish)
        for waiting in [pool.submit(wait, n) for n in range(8)]:
            waiting.result()
        stop.set()
        publishing.result()
    until(lambda: watching.count == 0)


def test_closing_ends_every_wait(harness: Harness) -> None:
    watching = harness.services.watching
    with ThreadPoolExecutor(1) as pool, watching.watch("r") as early:
        waiting = pool.submit(early.wait, 60)
        watching.stop()
        assert waiting.result(5) is None
        assert early.over
        with watching.watch("r") as late:
            assert late.wait(60) is None
