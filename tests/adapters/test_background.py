"""Small things done soon, beside the work."""

from __future__ import annotations

import threading
import time

from app.adapters.background import Background
from tests.support.waiting import until


class AuthThrottle:
    """An action that has begun and does not end before it may."""

    def __init__(self, background: Background) -> None:
        self.begun = threading.Event()
        self.may_end = threading.Event()
        background.soon("gate", self._wait)
        assert self.begun.wait(5)

    def _wait(self) -> None:
        self.begun.set()
        self.may_end.wait(10)


def test_what_is_asked_for_is_done_in_order() -> None:
    background, done = Background("test"), list[int]()
    for n in range(100):
        background.soon(str(n), lambda n=n: done.append(n))  # type: ignore[misc]
    background.close()
    assert done == list(range(100))


def test_nobody_waits_for_it() -> None:
    background = Background("test")
    throttle = AuthThrottle(background)
    began = time.monotonic()
    for n in range(1_000):
        background.soon(str(n), lambda: None)
    assert time.monotonic() - began < 1
    throttle.may_end.set()
    background.close()


def test_what_is_asked_for_again_before_it_is_begun_is_done_once_as_told_last() -> None:
    background, done = Background("test"), list[str]()
    throttle = AuthThrottle(background)
    for n in range(1_000):
        background.soon("wake", lambda n=n: done.append(f"wake {n}"))  # type: ignore[misc]
        background.soon(f"other {n % 2}", lambda n=n: done.append(f"other {n % 2}"))  # type: ignore[misc]
    throttle.may_end.set()
    background.close()
    assert done == ["wake 999", "other 0", "other 1"]


def test_what_is_asked_for_once_it_has_begun_is_done_once_more() -> None:
    background, done = Background("test"), list[str]()
    throttle = AuthThrottle(background)
    background.soon("gate", lambda: done.append("again"))
    throttle.may_end.set()
    background.close()
    assert done == ["again"]


def test_a_failure_is_forgotten_and_the_rest_is_done() -> None:
    background, done = Background("test"), list[str]()

    def fail() -> None:
        raise OSError("Redis died")

    background.soon("bad", fail)
    background.soon("good", lambda: done.append("good"))
    until(lambda: done == ["good"])
    background.soon("bad", fail)
    background.soon("later", lambda: done.append("later"))
    background.close()
    assert done == ["good", "later"]


def test_beyond_what_can_be_kept_new_things_are_dropped_and_known_ones_are_not() -> None:
    background, done = Background("test", most=2), list[str]()
    throttle = AuthThrottle(background)
    for key in ("a", "b", "c"):
        background.soon(key, lambda key=key: done.append(key))  # type: ignore[misc]
    background.soon("b", lambda: done.append("b, as told last"))
    throttle.may_end.set()
    background.close()
    assert done == ["a", "b, as told last"]


def test_closing_waits_for_what_is_left_but_not_for_ever() -> None:
    background, done = Background("test"), list[str]()
    throttle = AuthThrottle(background)
    background.soon("left", lambda: done.append("left"))
    began = time.monotonic()
    background.close(timeout_s=0.05)
    assert time.monotonic() - began < 5
    assert done == []
    throttle.may_end.set()
    background.close()
    assert done == ["left"]


def test_closing_what_was_never_used_is_no_mistake() -> None:
    Background("test").close()
