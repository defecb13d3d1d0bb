"""A progress bar for terminals."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from rich.console import Console
from rich.markup import escape
from rich.progress import BarColumn, Progress, SpinnerColumn, TextColumn, TimeElapsedColumn

from imagefleet.answers import ImageStatus
from imagefleet.terminal import Progress as Show
from imagefleet.terminal import describe


@contextmanager
def bar() -> Iterator[Show]:
    """Shows each status until the `with` ends, then removes the bar."""
    columns = (SpinnerColumn(), BarColumn(30), TextColumn("{task.description}"), TimeElapsedColumn())
    with Progress(*columns, console=Console(stderr=True), transient=True) as progress:
        task = progress.add_task("", total=100)

        def show(status: ImageStatus) -> None:
            progress.update(task, completed=status.progress, description=escape(describe(status)))

        yield show
