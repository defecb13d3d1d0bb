"""When extensions were last heard whose heartbeats changed nothing. It is only shown, so it need not be written at once."""

from __future__ import annotations

import threading
import time


class LastSeen:
    """Notes it for the connections of one process, a float each, until somebody takes the notes to write them down."""

    def __init__(self) -> None:
        self._at_s: dict[str, float] = {}
        self._lock = threading.Lock()

    def note(self, connection_id: str) -> None:
        """It was heard this moment."""
        with self._lock:
            self._at_s[connection_id] = time.monotonic()

    def forget(self, connection_id: str) -> None:
        """It is gone."""
        with self._lock:
            self._at_s.pop(connection_id, None)

    def take(self) -> list[tuple[str, float]]:
        """Who was heard since this was last asked, and when, by `time.monotonic`."""
        with self._lock:
            taken, self._at_s = self._at_s, {}
        return list(taken.items())
