"""Watchers of jobs and batches: the live streams and long polls of this process. None of them polls the database."""

import threading
from collections import defaultdict
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from functools import partial
from typing import Any

from app.db import batches, jobs
from app.services.changes import change, change_of_batch, watched_id
from app.services.ports import Ports

BATCH = 500


class Watch:
    """The changes of one job or batch for one watcher. Only the newest change is kept, and with `previews` the newest notice
    of a preview of each picture.

    `over` is True once this process stops: there will be no more changes.
    """

    def __init__(self, version: int, *, previews: bool = False) -> None:
        self.version = version
        self._wants_previews = previews
        self._previews: dict[int, Mapping[str, Any]] = {}
        self.over = False
        self._changed = threading.Condition()
        self._change: Mapping[str, Any] | None = None

    def notify(self, change: Mapping[str, Any]) -> None:
        """Deliver a change; ignored unless it is newer than the last one."""
        with self._changed:
            if change["version"] > self.version:
                self.version = change["version"]
                self._change = change
                self._changed.notify()

    def notify_preview(self, notice: Mapping[str, Any]) -> None:
        """Deliver the notice that there is a preview, if the watcher wants previews."""
        if self._wants_previews:
            with self._changed:
                self._previews[notice["preview"]["position"]] = notice
                self._changed.notify()

    def skip_to(self, version: int) -> None:
        """The watcher knows `version` already: changes that are not newer are dropped."""
        with self._changed:
            self.version = max(self.version, version)
            if self._change is not None and self._change["version"] <= version:
                self._change = None

    def wait(self, timeout_s: float) -> Mapping[str, Any] | None:
        """The newest change (see `services.changes`) once there is one, or else the notice of a preview; None after `timeout_s`
        without any, or when over."""
        with self._changed:
            self._changed.wait_for(lambda: self._change is not None or self._previews or self.over, timeout_s)
            change, self._change = self._change, None
            if change is None and self._previews:
                return self._previews.pop(next(iter(self._previews)))
            return change

    def end(self) -> None:
        with self._changed:
            self.over = True
            self._changed.notify()


class Watching:
    """Passes changes from the bus on to watchers."""

    def __init__(self, ports: Ports) -> None:
        self.ports = ports
        self._watches: dict[str, set[Watch]] = defaultdict(set)
        self._lock = threading.Lock()
        self._ended = False

    @property
    def count(self) -> int:
        with self._lock:
            return sum(len(watches) for watches in self._watches.values())

    @property
    def ended(self) -> bool:
        """True once this process stops, which ends every wait."""
        return self._ended

    @contextmanager
    def watch(self, job_id: str, version: int = 0, *, previews: bool = False) -> Iterator[Watch]:
        """Watch for changes newer than `version`. Read the job inside the block: earlier changes are not delivered."""
        watch = Watch(version, previews=previews)
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
        """Deliver a change, or the notice of a preview, to all watchers of its job or batch."""
        with self._lock:
            watches = list(self._watches.get(watched_id(change), ()))
        for watch in watches:
            if "preview" in change:
                watch.notify_preview(change)
            else:
                watch.notify(change)

    def stop(self) -> None:
        """End every wait, because this process stops: clients can then reconnect to another one."""
        with self._lock:
            self._ended = True
            watches = [watch for some in self._watches.values() for watch in some]
        for watch in watches:
            watch.end()

    def catch_up(self) -> None:
        """Read every watched job and batch once, in batches, and deliver missed changes."""
        with self._lock:
            ids = list(self._watches)
        for begin in range(0, len(ids), BATCH):
            some = ids[begin : begin + BATCH]
            for job in self.ports.database.read(partial(jobs.find_all, job_ids=some)):
                self.notify(change(job))
            for batch in self.ports.database.read(partial(batches.find_all, batch_ids=some)):
                self.notify(change_of_batch(batch))
