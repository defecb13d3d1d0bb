"""Actions that run in the background."""

from __future__ import annotations

import threading
import time

from app.adapters.background import BackgroundRunner
from tests.support.waiting import until


class Gate:
    """A running action that ends when `may_end` is set."""

    def __init__(self, background: BackgroundRunner) -> None:
        self.begun = threading.Event()
        self.may_end = threading.Event()
        background.submit("gate", self._wait)
        assert self.begun.wait(5)

    def _wait(self) -> None:
        self.begun.set()
        self.may_end.wait(10)


def test_actions_run_in_order() -> None:
    background, done = BackgroundRunner("test"), list[int]()
    for n in range(100):
        background.submit(str(n), lambda n=n: done.append(n))  # type: ignore[misc]
    background.close()
    assert done == list(range(100))


def test_submitting_does_not_wait_for_running_actions() -> None:
    background = BackgroundRunner("test")
    gate = Gate(background)
    began = time.monotonic()
    for n in range(1_000):
        background.submit(str(n), lambda: None)
    assert time.monotonic() - began < 5  # the action that runs takes 10 s
    gate.may_end.set()
    background.close()


def test_an_action_submitted_again_before_it_starts_runs_once_with_the_latest_callable() -> None:
    background, done = BackgroundRunner("test"), list[str]()
    gate = Gate(background)
    for n in range(1_000):
        background.submit("wake", lambda n=n: done.append(f"wake {n}"))  # type: ignore[misc]
        background.submit(f"other {n % 2}", lambda n=n: done.append(f"other {n % 2}"))  # type: ignore[misc]
    gate.may_end.set()
    background.close()
    assert done == ["wake 999", "other 0", "other 1"]


def test_an_action_submitted_again_after_it_started_runs_again() -> None:
    background, done = BackgroundRunner("test"), list[str]()
    gate = Gate(background)
    background.submit("gate", lambda: done.append("again"))
    gate.may_end.set()
    background.close()
    assert done == ["again"]


def test_a_failed_action_does_not_stop_later_ones() -> None:
    background, done = BackgroundRunner("test"), list[str]()

    def fail() -> None:
        raise OSError("Redis died")

    background.submit("bad", fail)
    background.submit("good", lambda: done.append("good"))
    until(lambda: done == ["good"])
    background.submit("bad", fail)
    background.submit("later", lambda: done.append("later"))
    background.close()
    assert done == ["good", "later"]


def test_above_the_limit_new_actions_are_dropped_but_replacements_are_kept() -> None:
    background, done = BackgroundRunner("test", max_waiting=2), list[str]()
    gate = Gate(background)
    for key in ("a", "b", "c"):
        background.submit(key, lambda key=key: done.append(key))  # type: ignore[misc]
    background.submit("b", lambda: done.append("b, replaced"))
    gate.may_end.set()
    background.close()
    assert done == ["a", "b, replaced"]


def test_closing_runs_waiting_actions_for_a_limited_time() -> None:
    background, done = BackgroundRunner("test"), list[str]()
    gate = Gate(background)
    background.submit("left", lambda: done.append("left"))
    began = time.monotonic()
    background.close(timeout_s=0.05)
    assert time.monotonic() - began < 5
    assert done == []
    gate.may_end.set()
    background.close()
    assert done == ["left"]


def test_an_unused_runner_can_be_closed() -> None:
    BackgroundRunner("test").close()
