"""A batch from its submission to the last picture in the folder, across faults of client, server and network."""

from __future__ import annotations

import time
from collections.abc import Callable
from contextlib import suppress
from typing import Protocol

from imagefleet.batching.crew import Crew
from imagefleet.batching.entries import Entry
from imagefleet.batching.folder import BatchFolder
from imagefleet.batching.ledger import Task
from imagefleet.batching.messages import Broken, Complete, Ended, Message, Progressed, Saved, Trouble
from imagefleet.batching.saving import remove_old, saved
from imagefleet.client import Client
from imagefleet.errors import ImagefleetError
from imagefleet.models import Batch

TICK_S = 0.5
AT_ONCE = 200
INDEXES_EACH_S = 60.0


class Screen(Protocol):
    """What is told while a batch runs."""

    def progressed(self, batch: Batch) -> None:
        """The batch is in this state."""

    def settled(self, entry: Entry, *, is_news: bool) -> None:
        """An item has ended, and its pictures are in the folder if there are any; `is_news` unless an earlier run knew that."""

    def troubled(self, error: ImagefleetError) -> None:
        """The server does not answer, and is asked again; `progressed` says when that is over."""

    def tick(self) -> None:
        """Some time has passed."""


class BatchRun:
    """Saves the pictures of a batch in its folder as they are finished, up to `savers` items at once.

    `patience_s` is how long the server may be away. `is_enough` ends it before the batch does: it is called with each item.
    """

    def __init__(
        self,
        client: Client,
        folder: BatchFolder,
        batch: Batch,
        screen: Screen,
        *,
        savers: int,
        patience_s: float,
        download: bool = True,
        is_enough: Callable[[Entry], bool] = lambda _: False,
    ) -> None:
        self.batch = batch
        self._client = client
        self._folder = folder
        self._screen = screen
        self._patience_s = patience_s
        self._is_enough = is_enough

        def save(task: Task, is_last: bool) -> Entry:
            return saved(client, folder.path, task, folder.digits, download=download, is_last=is_last)

        self._crew = Crew(client, batch.batch_id, save, savers)
        self._at_work: set[int] = set()
        self._has_ended = self._enough = False
        self._heard_at = time.monotonic()
        self._indexed_at = time.monotonic()
        self._changed = False

    def run(self) -> Batch:
        """Go on until every item has ended and its pictures are there. The indexes are written in the end, however it ends.

        Raises the errors of the library, that of an absent server when the patience is over, and OSError.
        """
        self._screen.progressed(self.batch)
        self._crew.start()
        try:
            while not self._is_done():
                self._step()
        except OSError:  # such as a full disk, on which no index can be written either
            self._crew.stop()
            raise
        except BaseException:
            self._crew.stop()
            self._folder.write_indexes(self.batch)
            raise
        self._crew.stop()
        if not self._enough:
            self._folder.remove_parts()
        with suppress(ImagefleetError):  # its counts may be of the moment before the last items ended
            self.batch = self._client.get_batch(self.batch.batch_id)
        self._folder.write_indexes(self.batch)
        return self.batch

    def _is_done(self) -> bool:
        if self._enough:
            return True
        return self._has_ended and self.batch.is_final and not self._at_work and not self._folder.ledger.unsettled(1)

    def _step(self) -> None:
        message = self._crew.receive(TICK_S)
        if message is not None:
            with self._folder.ledger.together():
                self._handle(message)
                for _ in range(AT_ONCE):
                    if (message := self._crew.receive(0)) is None:
                        break
                    self._handle(message)
        self._give_work()
        self._screen.tick()
        if self._changed and time.monotonic() - self._indexed_at > INDEXES_EACH_S:
            self._folder.write_indexes(self.batch)
            self._changed, self._indexed_at = False, time.monotonic()

    def _handle(self, message: Message) -> None:
        if isinstance(message, Broken):
            raise message.error
        if isinstance(message, Trouble):
            if time.monotonic() - self._heard_at > self._patience_s:
                raise message.error
            self._screen.troubled(message.error)
            return
        self._heard_at = time.monotonic()
        if isinstance(message, Progressed):
            self.batch = message.batch
            self._screen.progressed(message.batch)
            if self._has_ended and not message.batch.is_final:  # items are tried again, or were added
                self._has_ended = False
                self._crew.follow()
        elif isinstance(message, Ended):
            item = message.item
            self._folder.ledger.note_end(item.index, item.request_id, item.custom_id)
        elif isinstance(message, Saved):
            self._settle(message)
        elif isinstance(message, Complete):
            self._has_ended = True

    def _settle(self, message: Saved) -> None:
        self._at_work.discard(message.task.number)
        if not self._folder.ledger.settle(message.entry):
            return
        remove_old(self._folder.path, message.task.entry, message.entry)
        self._changed = True
        before = message.task.entry
        self._screen.settled(message.entry, is_news=before is None or before.request_id != message.entry.request_id)
        self._enough = self._enough or self._is_enough(message.entry)

    def _give_work(self) -> None:
        free = self._crew.savers - len(self._at_work)
        if free > 0:
            for task in self._folder.ledger.unsettled(free, frozenset(self._at_work)):
                self._at_work.add(task.number)
                self._crew.give(task)
