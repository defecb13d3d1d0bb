"""Where a process that serves with gevent has its commits to SQLite carried out: they wait for the disk."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any

from gevent import get_hub
from gevent.threadpool import ThreadPool

LONG_S = 0.003  # about as long as it takes to be served by a thread where there is much to do
SHARE = 8  # of what is usual; one that was held up by chance does not make a disk slow
RARELY = 100  # times as long as it took last: the loop stands still for a slow disk for a hundredth of the time at most


class Committer:
    """Here and now where nobody else wants the loop and the disk has been fast; else in a thread, where it holds nobody up.

    A thread costs a tenth of a submission that comes alone. Where others come meanwhile, they wait for the disk together.
    """

    def __init__(self, now_s: Callable[[], float] = time.monotonic) -> None:
        self._now_s = now_s
        self._usual_s = 0.0
        self._careful_until = float("-inf")
        self._thread = ThreadPool(1)

    def __call__(self, work: Callable[[], Any]) -> Any:
        """The result of `work`, or what it raises."""
        began = self._now_s()
        # What the thread is still at comes first, also where whoever waited for it was torn away.
        if began < self._careful_until or len(self._thread) or others_want_the_loop():
            return self._off_the_loop(work)
        try:
            return work()
        finally:
            self._note(began, self._now_s())

    def _note(self, began: float, ended: float) -> None:
        took_s = ended - began
        self._usual_s += (took_s - self._usual_s) / SHARE
        if self._usual_s > LONG_S:
            # As it is while SQLite's log grows, and on a disk that is slow. The next one that is tried here tells.
            self._usual_s, self._careful_until = LONG_S, ended + RARELY * took_s

    def _off_the_loop(self, work: Callable[[], Any]) -> Any:
        result, error = self._thread.apply(_outcome, (work,))
        if error is not None:
            raise error
        return result


def others_want_the_loop() -> bool:
    """True where another greenlet is to be run, or something came in that nobody has looked at."""
    loop = get_hub().loop
    return bool(loop.pendingcnt or loop._callbacks)  # private: what is to be run next. gevent is pinned


def _outcome(work: Callable[[], Any]) -> tuple[Any, Exception | None]:
    """What came of the work. gevent prints whatever a thread of its pool raises, and a refusal is no accident."""
    try:
        return work(), None
    except Exception as error:  # noqa: BLE001 - it is raised where the work was asked for
        return None, error
