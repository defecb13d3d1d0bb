"""A batch as a bar on a terminal."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager

from rich.console import Console
from rich.markup import escape
from rich.progress import BarColumn, MofNCompleteColumn, SpinnerColumn, TaskID, TextColumn
from rich.progress import Progress as Bars

from imagefleet.batching.screens import Lines, trouble
from imagefleet.errors import ImagefleetError
from imagefleet.models import Batch


class Bar(Lines):
    """Shows the batch in a task of `bars`."""

    def __init__(self, bars: Bars, task: TaskID, say: Callable[[str], None]) -> None:
        super().__init__(say)
        self._bars = bars
        self._task = task
        self._fault = ""

    def progressed(self, batch: Batch) -> None:
        super().progressed(batch)
        self._fault = ""
        self._bars.update(self._task, total=batch.counts.total, completed=batch.counts.ended)

    def troubled(self, error: ImagefleetError) -> None:
        self._fault = trouble(error)

    def tick(self) -> None:
        batch = self.progress.batch
        failed = f", {batch.counts.failed:,} failed" if batch is not None and batch.counts.failed else ""
        text = self._fault or f"{self.progress.saved:,} saved{failed}{self.progress.pace()}"
        self._bars.update(self._task, description=escape(text))


@contextmanager
def shown() -> Iterator[Bar]:
    """The bar, until the `with` ends. A spinner of ASCII suits every terminal."""
    console = Console(stderr=True)
    columns = (SpinnerColumn("line"), BarColumn(30), MofNCompleteColumn(), TextColumn("{task.description}"))

    def say(text: str) -> None:
        console.print(text, markup=False, highlight=False)

    with Bars(*columns, console=console, transient=True) as bars:
        yield Bar(bars, bars.add_task("", total=None), say)
