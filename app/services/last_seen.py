"""The times of heartbeats that reported no change. They are only displayed, so they are stored in batches."""

import threading
import time


class LastSeen:
    """Collects the times for the connections of one process until they are stored."""

    def __init__(self) -> None:
        self._at_s: dict[str, float] = {}
        self._lock = threading.Lock()

    def note(self, connection_id: str) -> None:
        """A heartbeat came over this connection just now."""
        with self._lock:
            self._at_s[connection_id] = time.monotonic()

    def forget(self, connection_id: str) -> None:
        with self._lock:
            self._at_s.pop(connection_id, None)

    def take(self) -> list[tuple[str, float]]:
        """Take the connections noted since the last call, with their times by `time.monotonic`."""
        with self._lock:
            noted, self._at_s = self._at_s, {}
        return list(noted.items())
