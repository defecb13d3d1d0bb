"""Actions that run in the background."""

from __future__ import annotations

import threading
import time

from app.adapters.background import BackgroundRunner
from tests.support.waiting import until


class Gate:
    """An action that has begun and does not end before it may."""

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


def test_to_submit_an_action_does_not_wait_for_those_that_run() -> None:
    background = BackgroundRunner("test")
    gate = Gate(background)
    began = time.monotonic()
    for n in range(1_000):
        background.submit(str(n), lambda: None)
    assert time.monotonic() - began < 1
    gate.may_end.set()
    background.close()


def test_an_action_submitted_again_before_it_started_runs_once_in_its_last_form() -> None:
    background, done = BackgroundRunner("test"), list[str]()
    gate = Gate(background)
    for n in range(1_000):
        background.submit("wake", lambda n=n: done.append(f"wake {n}"))  # type: ignore[misc]
        background.submit(f"other {n % 2}", lambda n=n: done.append(f"other {n % 2}"))  # type: ignore[misc]
    gate.may_end.set()
    background.close()
    assert done == ["wake 999", "other 0", "other 1"]


def test_an_action_submitted_after_it_started_runs_again() -> None:
    background, done = BackgroundRunner("test"), list[str]()
    gate = Gate(background)
    background.submit("gate", lambda: done.append("again"))
    gate.may_end.set()
    background.close()
    assert done == ["again"]


def test_an_action_that_fails_does_not_stop_the_others() -> None:
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


def test_beyond_the_limit_new_actions_are_dropped_and_replacements_are_not() -> None:
    background, done = BackgroundRunner("test", max_waiting=2), list[str]()
    gate = Gate(background)
    for key in ("a", "b", "c"):
        background.submit(key, lambda key=key: done.append(key))  # type: ignore[misc]
    background.submit("b", lambda: done.append("b, its last form"))
    gate.may_end.set()
    background.close()
    assert done == ["a", "b, its last form"]


def test_closing_waits_for_what_is_left_but_for_a_bounded_time() -> None:
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


def test_a_runner_that_was_never_used_can_be_closed() -> None:
    BackgroundRunner("test").close()
