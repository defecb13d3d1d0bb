"""What people and scripts see of a batch: lines, a bar, or lines of JSON."""

from __future__ import annotations

import json
import time
from collections.abc import Callable

from imagefleet.batching.entries import Entry
from imagefleet.batching.progress import Progress
from imagefleet.batching.run import Screen
from imagefleet.errors import ImagefleetError
from imagefleet.models import Batch

LINES_EACH_S = 15.0

Say = Callable[[str], None]


class Lines:
    """Says how far the batch is every now and then, and at once what fails. For what is no terminal."""

    def __init__(self, say: Say) -> None:
        self.progress = Progress()
        self._say = say
        self._last = ""
        self._said_at = float("-inf")
        self._trouble = ""

    def progressed(self, batch: Batch) -> None:
        self.progress.update(batch)
        self._trouble = ""

    def settled(self, entry: Entry, *, is_news: bool) -> None:
        self.progress.add(entry)
        if is_news:
            for sentence in mishaps(entry):
                self._say(sentence)

    def troubled(self, error: ImagefleetError) -> None:
        sentence = trouble(error)
        if sentence != self._trouble:
            self._trouble = sentence
            self._say(sentence)

    def tick(self) -> None:
        line = self.progress.line()
        if line != self._last and time.monotonic() - self._said_at >= LINES_EACH_S:
            self._last, self._said_at = line, time.monotonic()
            self._say(line)


class JsonLines:
    """Prints each item that has ended as a line of JSON, and shows the rest on another screen."""

    def __init__(self, print_line: Say, others: Screen) -> None:
        self._print = print_line
        self._others = others

    def progressed(self, batch: Batch) -> None:
        self._others.progressed(batch)

    def settled(self, entry: Entry, *, is_news: bool) -> None:
        self._print(json.dumps(entry.described()))
        self._others.settled(entry, is_news=is_news)

    def troubled(self, error: ImagefleetError) -> None:
        self._others.troubled(error)

    def tick(self) -> None:
        self._others.tick()


class Nothing:
    """Shows nothing."""

    def progressed(self, batch: Batch) -> None: ...

    def settled(self, entry: Entry, *, is_news: bool) -> None: ...

    def troubled(self, error: ImagefleetError) -> None: ...

    def tick(self) -> None: ...


def mishaps(entry: Entry) -> list[str]:
    """What went wrong with an item, in sentences."""
    failed = (
        [f"Item {entry.title} failed: {entry.why or 'the server does not say why.'}"]
        if entry.status == "failed"
        else []
    )
    return failed + [f"Item {entry.title}: {problem}" for problem in entry.problems]


def trouble(error: ImagefleetError) -> str:
    """What fails and is tried again."""
    return f"{error.detail} Trying again; the batch itself continues."
