"""A progress bar for terminals."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from rich.console import Console
from rich.markup import escape
from rich.progress import BarColumn, Progress, SpinnerColumn, TaskID, TextColumn, TimeElapsedColumn

from imagefleet.errors import ImagefleetError
from imagefleet.models import Batch, Status
from imagefleet.output.terminal import describe, describe_batch, describe_fault


class Bar:
    """Shows a request in a task of `progress`."""

    def __init__(self, progress: Progress, task: TaskID) -> None:
        self._progress = progress
        self._task = task

    def show(self, status: Status) -> None:
        """Move the bar to the progress of the request."""
        self._progress.update(self._task, completed=status.progress, description=escape(describe(status)))

    def show_batch(self, batch: Batch) -> None:
        """Move the bar to the share of the items that have ended."""
        counts = batch.counts
        self._progress.update(
            self._task, completed=counts.ended, total=counts.total, description=escape(describe_batch(batch))
        )

    def show_fault(self, error: ImagefleetError, _pause_s: float) -> None:
        """Leave the bar where it is, and say what the command waits for."""
        self._progress.update(self._task, description=escape(describe_fault(error)))


@contextmanager
def bar() -> Iterator[Bar]:
    """Shows each status until the `with` ends, then removes the bar. A spinner of ASCII suits every terminal."""
    columns = (SpinnerColumn("line"), BarColumn(30), TextColumn("{task.description}"), TimeElapsedColumn())
    with Progress(*columns, console=Console(stderr=True), transient=True) as progress:
        yield Bar(progress, progress.add_task("", total=100))
