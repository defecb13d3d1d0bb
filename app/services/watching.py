"""Who waits to hear of a job: live streams and long polls of this process. Nobody asks the database in a loop."""

from __future__ import annotations

import threading
from collections import defaultdict
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from functools import partial
from typing import Any

from app.db import jobs
from app.services import steps
from app.services.ports import Ports

ASKED_AT_ONCE = 500


class Watch:
    """One watcher's place: it is told the newest change of its job; older ones that it did not take are dropped.

    Once it is `over`, nothing more is told: this process ends.
    """

    def __init__(self, version: int) -> None:
        self.version = version
        self.over = False
        self._changed = threading.Condition()
        self._change: Mapping[str, Any] | None = None

    def notify(self, change: Mapping[str, Any]) -> None:
        """The job changed; what is no newer than what was told already is passed over."""
        with self._changed:
            if change["version"] > self.version:
                self.version = change["version"]
                self._change = change
                self._changed.notify()

    def skip_to(self, version: int) -> None:
        """The watcher knows `version` already: what is no newer is not told, also where it was on its way."""
        with self._changed:
            self.version = max(self.version, version)
            if self._change is not None and self._change["version"] <= version:
                self._change = None

    def wait(self, timeout_s: float) -> Mapping[str, Any] | None:
        """The newest change (see `steps.change`) once there is one; None after `timeout_s` without any, or when over."""
        with self._changed:
            self._changed.wait_for(lambda: self._change is not None or self.over, timeout_s)
            change, self._change = self._change, None
            return change

    def end(self) -> None:
        """Let go whoever waits."""
        with self._changed:
            self.over = True
            self._changed.notify()


class Watching:
    """Passes on to watchers what the bus says."""

    def __init__(self, ports: Ports) -> None:
        self.ports = ports
        self._watches: dict[str, set[Watch]] = defaultdict(set)
        self._lock = threading.Lock()
        self._ended = False

    @property
    def count(self) -> int:
        """How many watch in this process."""
        with self._lock:
            return sum(len(watches) for watches in self._watches.values())

    @contextmanager
    def watch(self, job_id: str, version: int = 0) -> Iterator[Watch]:
        """Hear of changes newer than `version` while inside. Look at the job once inside: what came before is not told."""
        watch = Watch(version)
        with self._lock:
            self._watches[job_id].add(watch)
            watch.over = self._ended
        try:
            yield watch
        finally:
            with self._lock:
                self._watches[job_id].discard(watch)
                if not self._watches[job_id]:
                    del self._watches[job_id]

    def notify(self, change: Mapping[str, Any]) -> None:
        """A job changed."""
        with self._lock:
            watches = list(self._watches.get(change["requestId"], ()))
        for watch in watches:
            watch.notify(change)

    def stop(self) -> None:
        """This process ends: nobody is kept waiting here, so that all can ask elsewhere at once."""
        with self._lock:
            self._ended = True
            watches = [watch for some in self._watches.values() for watch in some]
        for watch in watches:
            watch.end()

    def catch_up(self) -> None:
        """Look at every watched job once: one query for some hundred jobs, however many watch them."""
        with self._lock:
            ids = list(self._watches)
        for begin in range(0, len(ids), ASKED_AT_ONCE):
            some = ids[begin : begin + ASKED_AT_ONCE]
            for job in self.ports.database.read(partial(jobs.find_all, job_ids=some)):
                self.notify(steps.change(job))
