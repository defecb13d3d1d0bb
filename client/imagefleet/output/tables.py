"""Tables: as wide as the terminal, or lines of cells with tabs between them where a program reads."""

from __future__ import annotations

import sys
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

from imagefleet.output.terminal import echo, encodes_unicode, plain

if TYPE_CHECKING:
    from rich.console import Console

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
    """A column of a table, which is left out of a terminal that is too narrow if it is `optional`.

    `shrinks`: it is cut to the width that is left; at most one of a table does that.
    """

    title: str
    shrinks: bool = False
    right: bool = False
    optional: bool = False


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
        echo("\t".join(line))
    return not is_empty


def _print_for_people(columns: Sequence[Column], rows: list[tuple[str, ...]]) -> bool:
    from rich.console import Console  # noqa: PLC0415 - rich is slow to load and only a terminal needs it

    if not rows:
        return False
    console = Console(highlight=False)
    widths = _fitting(columns, rows, console.width)
    with console.capture() as captured:
        if widths is None:
            _print_one_below_another(console, columns, rows)
        else:
            _print_side_by_side(console, columns, rows, widths)
    echo("\n".join(line.rstrip() for line in captured.get().splitlines()))
    return True


def _fitting(columns: Sequence[Column], rows: Sequence[Sequence[str]], width: int) -> dict[int, int] | None:
    """The widths of the columns that fit beside each other, by their numbers; None if even those do not that must be there."""
    from rich.cells import cell_len  # noqa: PLC0415 - rich is slow to load and only a terminal needs it

    cells = list(zip(*rows, strict=True))
    natural = [max(map(cell_len, (c.title, *each))) for c, each in zip(columns, cells, strict=True)]
    shown = [number for number, each in enumerate(cells) if any(each)]
    least = {
        number: min(natural[number], NARROWEST) if columns[number].shrinks else natural[number] for number in shown
    }
    while sum(least.values()) + GAP * (len(least) - 1) > width:
        optional = [number for number in least if columns[number].optional]
        if not optional:
            return None
        del least[optional[-1]]
    left = width - sum(least.values()) - GAP * (len(least) - 1)
    return {
        number: min(natural[number], each + left) if columns[number].shrinks else each for number, each in least.items()
    }


def _print_side_by_side(
    console: Console, columns: Sequence[Column], rows: list[tuple[str, ...]], widths: dict[int, int]
) -> None:
    from rich.table import Table  # noqa: PLC0415 - rich is slow to load and only a terminal needs it
    from rich.text import Text  # noqa: PLC0415 - the same

    overflow: Literal["ellipsis", "crop"] = "ellipsis" if encodes_unicode() else "crop"
    table = Table(box=None, pad_edge=False, padding=(0, GAP, 0, 0), header_style="bold")
    for number, width in widths.items():
        justify: Literal["left", "right"] = "right" if columns[number].right else "left"
        table.add_column(columns[number].title, justify=justify, no_wrap=True, overflow=overflow, width=width)
    for row in rows:
        table.add_row(*(Text(row[number], style=STYLES.get(row[number], "")) for number in widths))
    console.print(table)


def _print_one_below_another(console: Console, columns: Sequence[Column], rows: list[tuple[str, ...]]) -> None:
    from rich.text import Text  # noqa: PLC0415 - rich is slow to load and only a terminal needs it

    for row in rows:
        for column, cell in zip(columns, row, strict=True):
            if cell:
                console.print(Text(f"{column.title}: {cell}" if column.title else cell))
        console.print()
