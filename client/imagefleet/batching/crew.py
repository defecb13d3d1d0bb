"""The threads that follow a batch and fetch its pictures. They put what they find into one inbox, and touch nothing else.

They are daemons: a command that ends does not wait for a server that is silent.
"""

from __future__ import annotations

import queue
import threading
import time
from collections.abc import Callable

from imagefleet.batching.entries import Entry
from imagefleet.batching.ledger import Task
from imagefleet.batching.messages import Broken, Complete, Ended, Message, Progressed, Saved, Trouble
from imagefleet.client import Client
from imagefleet.errors import ConnectionLost, ImagefleetError
from imagefleet.models import Batch
from imagefleet.retrying import pauses

INBOX = 1_000
POLL_S, SHORTEST_POLL_S = 20.0, 1.0
LEAST_BETWEEN_POLLS_S = 1.0
# How often an item's pictures are tried, while the server answers.
ATTEMPTS = 12
Save = Callable[[Task, bool], Entry]


class Crew:
    """Follows the batch with this id, and saves what `give` is called with, `savers` items at once.

    `save` brings an item's pictures into the folder; if it is called with True, it gives up what fails, and says so.
    """

    def __init__(self, client: Client, batch_id: str, save: Save, savers: int) -> None:
        self.savers = savers
        self._client = client
        self._batch_id = batch_id
        self._save = save
        self._inbox: queue.Queue[Message] = queue.Queue(INBOX)
        self._tasks: queue.SimpleQueue[Task] = queue.SimpleQueue()
        self._stopping = threading.Event()
        self._is_heard = True

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
                self._pause_after(error, next(waits))

    def _pause_after(self, error: ImagefleetError, pause_s: float) -> None:
        """Wait before the next attempt. Raises the error if that cannot help, or is not wanted any more."""
        if self._stopping.is_set() or not error.is_transient(idempotent=True):
            raise error
        self._stopping.wait(max(pause_s, error.retry_after_s or 0.0))

    def _watch(self) -> None:
        """Report each state of the batch, up to one a second, and when the server does not answer."""
        poll = Poll(self._client, self._batch_id)
        waits = pauses()
        while not self._stopping.is_set():
            try:
                self._put(Progressed(poll.next()))
            except ImagefleetError as error:
                self._is_heard = False
                self._put(Trouble(error))
                self._pause_after(error, next(waits))
                continue
            self._is_heard, waits = True, pauses()
            self._stopping.wait(LEAST_BETWEEN_POLLS_S)

    def _follow(self) -> None:
        def follow() -> None:
            for item in self._client.follow_batch(self._batch_id):
                self._put(Ended(item))
                if self._stopping.is_set():
                    return

        self._insist(follow)
        self._put(Complete())

    def _fetch(self) -> None:
        while not self._stopping.is_set():
            task = self._tasks.get()
            self._put(Saved(task, self._saved(task)))

    def _saved(self, task: Task) -> Entry:
        """Save the pictures of this item. A picture that fails again and again, while the server answers, is given up."""
        waits, failures = pauses(), 0
        while True:
            try:
                return self._save(task, failures >= ATTEMPTS)
            except ImagefleetError as error:
                failures += self._is_heard
                self._pause_after(error, next(waits))


class Poll:
    """Asks how the batch is, and has the answer held back until there is news."""

    def __init__(self, client: Client, batch_id: str) -> None:
        self._client = client
        self._batch_id = batch_id
        self._since: int | None = None
        self._longest_s = POLL_S

    def next(self) -> Batch:
        """The next state. Raises the errors of the library."""
        since, self._since = self._since, None
        asked_at = time.monotonic()
        try:
            batch = self._client.get_batch(self._batch_id, wait=None if since is None else self._longest_s, since=since)
        except ConnectionLost:
            if since is None:
                raise
            # Something in between does not hold a connection as long as that, or the server is away: the next answer says.
            self._longest_s = min(self._longest_s, max(SHORTEST_POLL_S, (time.monotonic() - asked_at) * 3 // 4))
            batch = self._client.get_batch(self._batch_id)
        self._since = batch.version
        return batch
