"""Actions that run one after another on a thread of their own, so that a slow or absent Redis delays no request."""

from __future__ import annotations

import threading
from collections.abc import Callable

from app import logs

log = logs.get(__name__)


class BackgroundRunner:
    """Runs submitted actions in order, on one thread.

    Each action has a key: submitted again before it has started, it replaces the one that waits. So a wake-up that is
    requested a thousand times while Redis is away is one wake-up. An action that fails is logged and forgotten: use this
    only for what may be lost.
    """

    def __init__(self, name: str, max_waiting: int = 10_000) -> None:
        self._name = name
        self._max_waiting = max_waiting
        self._waiting: dict[str, Callable[[], object]] = {}
        self._changed = threading.Condition()
        self._thread: threading.Thread | None = None
        self._closing = False

    def submit(self, key: str, action: Callable[[], object]) -> None:
        """Run `action` soon. Where `max_waiting` others wait already, it is dropped."""
        with self._changed:
            if len(self._waiting) >= self._max_waiting and key not in self._waiting:
                return
            self._waiting[key] = action
            if self._thread is None:
                self._thread = threading.Thread(target=self._run, name=self._name, daemon=True)
                self._thread.start()
            self._changed.notify()

    def close(self, timeout_s: float = 2.0) -> None:
        """Run what still waits, for `timeout_s` at most."""
        with self._changed:
            self._closing = True
            thread = self._thread
            self._changed.notify()
        if thread is not None:
            thread.join(timeout_s)

    def _run(self) -> None:
        while (action := self._next()) is not None:
            try:
                action()
            except Exception as problem:  # noqa: BLE001 - libraries raise many types when Redis goes away
                log.warning("A background action failed", action=f"{self._name}.failed", problem=str(problem))

    def _next(self) -> Callable[[], object] | None:
        with self._changed:
            while not self._waiting:
                if self._closing:
                    return None
                self._changed.wait()
            key = next(iter(self._waiting))
            return self._waiting.pop(key)
