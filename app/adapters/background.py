"""Runs actions one after another on a background thread, so that a slow or unavailable Redis delays no request."""

import threading
from collections.abc import Callable

from app import logs

log = logs.get(__name__)


class BackgroundRunner:
    """Runs submitted actions in order, on one thread.

    Each action has a key. An action submitted again before it has started replaces the waiting one, so a wake-up that is
    requested a thousand times while Redis is unavailable is sent once. A failed action is logged and not retried: use
    this only for what may be lost.
    """

    def __init__(self, name: str, max_waiting: int = 10_000) -> None:
        self._name = name
        self._max_waiting = max_waiting
        self._waiting: dict[str, Callable[[], object]] = {}
        self._changed = threading.Condition()
        self._thread: threading.Thread | None = None
        self._closing = False

    def submit(self, key: str, action: Callable[[], object]) -> None:
        """Run `action` soon. It is dropped if `max_waiting` others are waiting already."""
        with self._changed:
            if len(self._waiting) >= self._max_waiting and key not in self._waiting:
                return
            self._waiting[key] = action
            if self._thread is None:
                self._thread = threading.Thread(target=self._run, name=self._name, daemon=True)
                self._thread.start()
            self._changed.notify()

    def close(self, timeout_s: float = 2.0) -> None:
        """Run the waiting actions, for at most `timeout_s`."""
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
            except Exception as problem:  # noqa: BLE001 - libraries raise many types when Redis fails
                log.warning("A background action failed", action=f"{self._name}.failed", problem=str(problem))

    def _next(self) -> Callable[[], object] | None:
        with self._changed:
            while not self._waiting:
                if self._closing:
                    return None
                self._changed.wait()
            key = next(iter(self._waiting))
            return self._waiting.pop(key)
