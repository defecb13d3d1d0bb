"""How a process that serves with gevent waits for PostgreSQL: with watchers that live as long as their connection.

psycopg has gevent make a poll object for each wait, of which a submission has half a dozen.
"""

from __future__ import annotations

from typing import Any, TypeVar

from gevent import get_hub
from psycopg.abc import PQGen

from app.db.direct import DirectConnection

T = TypeVar("T")


class GreenConnection(DirectConnection):
    """A connection that lets others run while it waits."""

    def __init__(self, *args: Any, **more: Any) -> None:
        super().__init__(*args, **more)
        self._watchers: dict[int, Any] = {}

    def wait(self, gen: PQGen[T], interval: float = 0.0, timeout: float | None = None) -> T:
        """As psycopg's; where there is no `timeout` (s), for as long as it takes."""
        if timeout is not None:
            return super().wait(gen, interval, timeout)
        hub = get_hub()
        try:
            wanted = next(gen)
            while True:
                # psycopg and libev have the same numbers: 1 to read, 2 to write. A read that finds nothing does no harm.
                watcher = self._watchers.get(wanted) or self._watch(wanted)
                hub.wait(watcher)
                wanted = gen.send(wanted)
        except StopIteration as end:
            result: T = end.value
            return result

    def close(self) -> None:
        """As psycopg's; nobody watches a descriptor that will be another's."""
        while self._watchers:
            self._watchers.popitem()[1].close()
        super().close()

    def _watch(self, wanted: int) -> Any:
        self._watchers[wanted] = watcher = get_hub().loop.io(self.pgconn.socket, int(wanted))
        return watcher
