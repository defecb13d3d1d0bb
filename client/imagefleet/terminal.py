"""Output for a person: a status in one line, and progress on stderr."""

from __future__ import annotations

import re
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import click

from imagefleet.answers import ImageStatus

# Text from the server must not move the cursor or change the colours of a terminal.
_CONTROL = re.compile(r"[\x00-\x1f\x7f-\x9f\u2028\u2029\u202a-\u202e\u2066-\u2069\ud800-\udfff]+")
Progress = Callable[[ImageStatus], None]


def plain(text: str) -> str:
    """One line of text without control characters."""
    return _CONTROL.sub(" ", text)


def describe(status: ImageStatus) -> str:
    """The status in one line."""
    if status.queue is not None:
        position = f", number {status.queue.position} in the queue" if status.queue.position else ""
        return plain(f"{status.status}{position}{f': {status.queue.reason}' if status.queue.reason else ''}")
    if status.error:
        reason = f" {status.reason}" if status.reason else ""
        return plain(f"{status.status}: {status.error}{reason}{f' ({status.code})' if status.code else ''}")
    share = "" if status.is_final else f" {status.progress} %"
    return plain(f"{status.status}{share}{f' {status.message}' if status.message else ''}")


@contextmanager
def show_progress() -> Iterator[Progress]:
    """Shows each status on stderr: a bar on a terminal, lines fallback."""
    if sys.stderr.isatty():
        from imagefleet.progress_bar import bar  # noqa: PLC0415 - rich is slow to load and only a terminal needs it

        with bar() as show:
            yield show
    else:
        yield _Lines().show


class _Lines:
    """Prints a status unless it repeats the previous line."""

    def __init__(self) -> None:
        self._last = ""

    def show(self, status: ImageStatus) -> None:
        line = describe(status)
        if line != self._last:
            click.echo(line, err=True)
        self._last = line
