"""Tables: as wide as the terminal, or lines of cells with tabs between them where a program reads."""

from __future__ import annotations

import sys
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import click

from imagefleet.terminal import encodes_unicode, plain

GAP = 2
NARROWEST = 12
STYLES = {
    "completed": "green",
    "delivered": "green",
    "free": "green",
    "failed": "red",
    "unavailable": "red",
    "paused": "yellow",
    "cancelled": "dim",
    "away": "dim",
}


@dataclass(frozen=True, slots=True)
class Column:
    """A column of a table. `shrinks`: it is cut where the terminal is too narrow; at most one of a table does that."""

    title: str
    shrinks: bool = False
    right: bool = False


def print_table(columns: Sequence[Column], rows: Iterable[Sequence[object]]) -> bool:
    """Print the rows. False if there is none.

    On a terminal they are a table with titles, as wide as it is. Elsewhere each row is a line without titles, its cells as they
    are, with tabs between them, printed as soon as it is there.
    """
    lines = (tuple(plain("" if cell is None else str(cell)) for cell in row) for row in rows)
    if sys.stdout.isatty():
        return _print_for_people(columns, list(lines))
    is_empty = True
    for line in lines:
        is_empty = False
        click.echo("\t".join(line))
    return not is_empty


def _print_for_people(columns: Sequence[Column], rows: list[tuple[str, ...]]) -> bool:
    from rich.cells import cell_len  # noqa: PLC0415 - rich is slow to load and only a terminal needs it
    from rich.console import Console  # noqa: PLC0415 - the same
    from rich.table import Table  # noqa: PLC0415 - the same
    from rich.text import Text  # noqa: PLC0415 - the same

    if not rows:
        return False
    console = Console(highlight=False)
    widths = [max(cell_len(cell) for cell in cells) for cells in zip((c.title for c in columns), *rows, strict=True)]
    fixed = sum(width + GAP for width, column in zip(widths, columns, strict=True) if not column.shrinks)
    left = max(NARROWEST, console.width - fixed)
    table = Table(box=None, pad_edge=False, padding=(0, GAP, 0, 0), header_style="bold")
    for column in columns:
        table.add_column(
            column.title,
            justify="right" if column.right else "left",
            no_wrap=column.shrinks,
            overflow=("ellipsis" if encodes_unicode() else "crop") if column.shrinks else "fold",
            max_width=left if column.shrinks else None,
        )
    for row in rows:
        table.add_row(*(Text(cell, style=STYLES.get(cell, "")) for cell in row))
    with console.capture() as captured:
        console.print(table)
    click.echo("\n".join(line.rstrip() for line in captured.get().splitlines()))
    return True
