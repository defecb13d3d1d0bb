"""The threads that follow a batch and fetch its pictures. They put what they find into one inbox, and touch nothing else.

They are daemons: a command that ends does not wait for a server that is silent.
"""

from __future__ import annotations

import queue
import threading
from collections.abc import Callable
from dataclasses import dataclass

from imagefleet.batching.entries import Entry
from imagefleet.batching.ledger import Task
from imagefleet.client import Client
from imagefleet.errors import ImagefleetError
from imagefleet.models import Batch, BatchItem
from imagefleet.retrying import pauses

INBOX = 1_000
POLL_S = 20.0
LEAST_BETWEEN_POLLS_S = 1.0


@dataclass(frozen=True, slots=True)
class Progressed:
    """The batch is in this state."""

    batch: Batch


@dataclass(frozen=True, slots=True)
class Ended:
    """An item has ended."""

    item: BatchItem


@dataclass(frozen=True, slots=True)
class Saved:
    """The pictures of an item are in the folder, or the reason is known why they are not."""

    task: Task
    entry: Entry


@dataclass(frozen=True, slots=True)
class Complete:
    """Every item of the batch has ended."""


@dataclass(frozen=True, slots=True)
class Trouble:
    """Something failed that is tried again."""

    error: ImagefleetError


@dataclass(frozen=True, slots=True)
class Broken:
    """Something failed for good."""

    error: Exception


Message = Progressed | Ended | Saved | Complete | Trouble | Broken


class Crew:
    """Follows the batch with this id, and saves what `give` is called with, `savers` items at once.

    `save` brings an item's pictures into the folder.
    """

    def __init__(self, client: Client, batch_id: str, save: Callable[[Task], Entry], savers: int) -> None:
        self.savers = savers
        self._client = client
        self._batch_id = batch_id
        self._save = save
        self._inbox: queue.Queue[Message] = queue.Queue(INBOX)
        self._tasks: queue.SimpleQueue[Task] = queue.SimpleQueue()
        self._stopping = threading.Event()

    def start(self) -> None:
        """Begin."""
        for work in (self._watch, *[self._fetch] * self.savers):
            self._start(work)
        self.follow()

    def follow(self) -> None:
        """Report each item as it ends, those first that have ended before, and then that the batch is complete."""
        self._start(self._follow)

    def stop(self) -> None:
        """Begin nothing more."""
        self._stopping.set()

    def give(self, task: Task) -> None:
        """Have the pictures of this item saved."""
        self._tasks.put(task)

    def receive(self, timeout_s: float) -> Message | None:
        """What was found next; None if nothing was within this time."""
        try:
            return self._inbox.get(timeout=timeout_s) if timeout_s else self._inbox.get_nowait()
        except queue.Empty:
            return None

    def _start(self, work: Callable[[], None]) -> None:
        threading.Thread(target=self._guarded, args=(work,), daemon=True).start()

    def _guarded(self, work: Callable[[], None]) -> None:
        try:
            work()
        except Exception as error:  # noqa: BLE001 - the main thread reports it
            self._put(Broken(error))

    def _put(self, message: Message) -> None:
        while not self._stopping.is_set():
            try:
                self._inbox.put(message, timeout=0.5)
                return
            except queue.Full:
                continue

    def _insist(self, attempt: Callable[[], None]) -> None:
        """Repeat until it succeeds. Raises what cannot be helped by that."""
        waits = pauses()
        while not self._stopping.is_set():
            try:
                attempt()
                return
            except ImagefleetError as error:
                if self._stopping.is_set() or not error.is_transient(idempotent=True):
                    raise
                self._put(Trouble(error))
                self._stopping.wait(max(next(waits), error.retry_after_s or 0.0))

    def _watch(self) -> None:
        """Report each state of the batch, up to one a second."""
        since: int | None = None

        def look() -> None:
            nonlocal since
            batch = self._client.get_batch(self._batch_id, wait=None if since is None else POLL_S, since=since)
            since = batch.version
            self._put(Progressed(batch))

        while not self._stopping.is_set():
            self._insist(look)
            self._stopping.wait(LEAST_BETWEEN_POLLS_S)

    def _follow(self) -> None:
        def follow() -> None:
            for item in self._client.follow_batch(self._batch_id, on_retry=lambda error, _: self._put(Trouble(error))):
                self._put(Ended(item))
                if self._stopping.is_set():
                    return

        self._insist(follow)
        self._put(Complete())

    def _fetch(self) -> None:
        while not self._stopping.is_set():
            task = self._tasks.get()
            self._insist(lambda task=task: self._put(Saved(task, self._save(task))))  # type: ignore[misc]
