"""Output for a person: a status in one line, and progress on stderr."""

from __future__ import annotations

import contextlib
import io
import os
import re
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import datetime
from typing import TYPE_CHECKING, Protocol

import click

from imagefleet.errors import ImagefleetError

if TYPE_CHECKING:
    from imagefleet.models import Batch, ImageRequest, QueuePosition, Status

# Text from the server must not move the cursor or change the colours of a terminal.
_CONTROL = re.compile(r"[\x00-\x1f\x7f-\x9f\u2028\u2029\u202a-\u202e\u2066-\u2069\ud800-\udfff]+")


class Progress(Protocol):
    """Shows how a request is going while the command waits for it."""

    def show(self, status: Status) -> None:
        """Show a new status."""

    def show_batch(self, batch: Batch) -> None:
        """Show how far a batch is."""

    def show_fault(self, error: ImagefleetError, pause_s: float) -> None:
        """Show that the server does not answer, and that it is asked again in `pause_s` seconds."""


def escape_what_cannot_be_encoded() -> None:
    """Print characters that the encoding of the terminal does not have as escapes such as \\u4e2d."""
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="backslashreplace")


def echo(text: str, *, err: bool = False, nl: bool = True) -> None:
    """Print on stdout or stderr in their own encoding, also if that is ASCII, for which click would send UTF-8."""
    click.echo(text, file=sys.stderr if err else sys.stdout, nl=nl)


def encodes_unicode() -> bool:
    """True if stdout can show any character."""
    return (getattr(sys.stdout, "encoding", None) or "ascii").lower().replace("-", "").startswith("utf")


def give_up_output() -> None:
    """Send what is still to be printed nowhere, so that the interpreter does not fail again when it ends."""
    with contextlib.suppress(OSError, ValueError, AttributeError):
        nowhere = os.open(os.devnull, os.O_WRONLY)
        os.dup2(nowhere, sys.stdout.fileno())
        os.close(nowhere)


def is_terminal() -> bool:
    """True if a person can be asked and answers: stdin and stderr are a terminal."""
    return all(stream is not None and stream.isatty() for stream in (sys.stdin, sys.stderr))


def plain(text: str) -> str:
    """One line of text without control characters."""
    return _CONTROL.sub(" ", text)


def describe(status: Status) -> str:
    """The status in one line."""
    if status.queue is not None:
        return plain(f"{status.status}{_describe_queue(status.queue)}")
    if status.error:
        why = _sentences(status.error, status.reason)
        return plain(f"{status.status}: {why}{f' ({status.code})' if status.code else ''}")
    if status.is_final:
        return plain(status.status)
    return plain(f"{status.status} {status.progress} %{f' {status.message}' if status.message else ''}")


def describe_batch(batch: Batch) -> str:
    """How far a batch is, in one line."""
    counts = batch.counts
    parts = [f"{batch.status}: {counts.completed} of {counts.total} completed"]
    parts += [
        f"{count} {name}" for name, count in (("failed", counts.failed), ("cancelled", counts.cancelled)) if count
    ]
    if not batch.is_final and batch.eta is not None:
        parts.append(f"probably done before {local_time(batch.eta.p90)}")
    return plain(", ".join(parts))


def _describe_queue(queue: QueuePosition) -> str:
    position = f", number {queue.position} in the queue" if queue.position else ""
    starts = "" if queue.eta is None else f", probably starts before {local_time(queue.eta.p90)}"
    until = "" if queue.waits_until is None else f", waits until {local_time(queue.waits_until)}"
    why = " ".join(filter(None, (queue.reason, queue.remedy)))
    return f"{position}{starts}{until}{f': {why}' if why else ''}"


def _sentences(error: str, reason: str | None) -> str:
    """An error and its reason; an error that does not end as a sentence introduces the reason."""
    if not reason:
        return error
    return f"{error} {reason}" if error.rstrip().endswith((".", "!", "?", ":")) else f"{error}: {reason}"


def local_time(moment: datetime) -> str:
    """A time in the time zone of this machine."""
    return f"{moment.astimezone():%Y-%m-%d %H:%M:%S}"


def describe_picture(result: ImageRequest) -> str:
    """The model, the size, the seed and the parameters without effect, as far as the server says them."""
    used = result.metadata
    size = f"{used.width}x{used.height}" if used.width and used.height else None
    seed = None if result.seed is None else f"seed {result.seed}"
    ignored = f"without effect: {' '.join(used.ignored_parameters)}" if used.ignored_parameters else None
    return plain(", ".join(part for part in (used.model, size, seed, ignored) if part))


def describe_fault(error: ImagefleetError) -> str:
    """A fault in one line."""
    return plain(f"{error.detail} Trying again; the request itself continues.")


def describe_refusal(error: ImagefleetError) -> str:
    """A refusal in one line, with the seconds to wait if the server's sentence does not have them."""
    return plain(" ".join(part for part in (error.detail, retry_advice(error)) if part))


def retry_advice(error: ImagefleetError) -> str:
    """When to try again, unless the error text says that already."""
    if not error.retry_after_s:
        return ""
    seconds = f"{error.retry_after_s:.0f}"
    return "" if re.search(rf"\b{seconds} ?s", error.detail) else f"Try again in {seconds} s."


@contextmanager
def show_progress(*, quiet: bool = False) -> Iterator[Progress]:
    """Shows each status on stderr: as a bar on a terminal, as lines elsewhere, not at all if `quiet`."""
    if quiet:
        yield _Nothing()
    elif sys.stderr is not None and sys.stderr.isatty():
        from imagefleet.output.progress_bar import bar  # noqa: PLC0415 - rich is slow to load and only a terminal needs it

        with bar() as progress:
            yield progress
    else:
        yield _Lines()


class _Nothing:
    def show(self, status: Status) -> None:
        pass

    def show_batch(self, batch: Batch) -> None:
        pass

    def show_fault(self, error: ImagefleetError, pause_s: float) -> None:
        pass


class _Lines:
    """Prints each line unless it repeats the previous one."""

    def __init__(self) -> None:
        self._last = ""

    def show(self, status: Status) -> None:
        self._print(describe(status))

    def show_batch(self, batch: Batch) -> None:
        self._print(describe_batch(batch))

    def show_fault(self, error: ImagefleetError, _pause_s: float) -> None:
        self._print(describe_fault(error))

    def _print(self, line: str) -> None:
        if line != self._last:
            echo(line, err=True)
        self._last = line
