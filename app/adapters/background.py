"""Small things done soon on a thread of their own, so that a Redis that is slow or gone holds nobody up."""

from __future__ import annotations

import threading
from collections.abc import Callable

from app import logs

log = logs.get(__name__)


class Background:
    """Does what it is told, one thing after the other.

    Each thing has a key: told again before it was begun, it is done once, as it was told last. So a wake asked for a
    thousand times while Redis is away is one wake. What fails is logged and forgotten: all of it is only hints.
    """

    def __init__(self, name: str, most: int = 10_000) -> None:
        self._name = name
        self._most = most
        self._waiting: dict[str, Callable[[], object]] = {}
        self._changed = threading.Condition()
        self._thread: threading.Thread | None = None
        self._closing = False

    def soon(self, key: str, action: Callable[[], object]) -> None:
        """Have `action` done soon. Where too much waits already, it is dropped."""
        with self._changed:
            if len(self._waiting) >= self._most and key not in self._waiting:
                return
            self._waiting[key] = action
            if self._thread is None:
                self._thread = threading.Thread(target=self._run, name=self._name, daemon=True)
                self._thread.start()
            self._changed.notify()

    def close(self, timeout_s: float = 2.0) -> None:
        """Finish what waits, for `timeout_s` at most."""
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
            except Exception as problem:  # noqa: BLE001 - whatever a library raises when Redis dies under it
                log.warning("A hint could not be sent", action=f"{self._name}.lost", problem=str(problem))

    def _next(self) -> Callable[[], object] | None:
        with self._changed:
            while not self._waiting:
                if self._closing:
                    return None
                self._changed.wait()
            key = next(iter(self._waiting))
            return self._waiting.pop(key)
