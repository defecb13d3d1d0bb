"""Commands for reports, and for the accounts that may read them."""

from __future__ import annotations

import csv
import json
import re
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from datetime import UTC, date, datetime
from itertools import chain, islice
from typing import Any

import click

from app.db import reports
from app.db.reports.dialects import Period
from app.domain.errors import InvalidRequest
from app.domain.spreadsheets import safe_cell
from app.manage.console import GetServices, command, print_row, print_rows, printable
from app.services.reporting import Report

MEASURED_ROWS = 1_000  # whose cells decide how wide the columns of a table are
WIDEST_COLUMN = 60
_AGO = re.compile(r"(\d{1,9})([smhdw])")
_UNITS_MS = {"s": 1_000, "m": 60_000, "h": 3_600_000, "d": 86_400_000, "w": 604_800_000}


@command("report")
@click.argument("name", required=False)
@click.option("--since", help="What happened since then: 7d, 24h, 30m ago, or a time such as 2026-01-31T18:00 (UTC).")
@click.option("--until", help="What happened before then, in the same way.")
@click.option("--csv", "form", flag_value="csv", help="Write CSV; the default if the output is no terminal.")
@click.option("--json", "form", flag_value="json", help="Write an object of JSON in each line.")
@click.option("--table", "form", flag_value="table", help="Write a table; the default on a terminal.")
@click.option("--limit", type=click.IntRange(1), help="Write so many rows at most.")
def report(
    get_services: GetServices,
    name: str | None,
    since: str | None,
    until: str | None,
    form: str | None,
    limit: int | None,
) -> None:
    """Write a report about requests, extensions, webhooks or storage; without NAME, list the reports.

    A period selects what is counted: `report users --since 7d` is about the requests of the last seven days. docs/reports.md
    describes every column. Times are in UTC, durations in seconds.
    """
    if name is None:
        print_rows(((each,) for each in reports.names()), none="There are no reports.")
        return
    if name not in reports.names():
        raise InvalidRequest(f"There is no report {printable(name)}. There are {', '.join(reports.names())}.")
    period = Period(_time("--since", since), _time("--until", until))
    write = _WRITERS[form or ("table" if sys.stdout.isatty() else "csv")]
    with get_services().reporting.open(name, period, limit) as opened:
        write(opened)


@command("readonly-role")
@click.argument("name")
@click.option("--new-password", is_flag=True, help="Replace its password.")
def readonly_role(get_services: GetServices, name: str, new_password: bool) -> None:
    """Let a role of PostgreSQL read the reports and nothing else, for BI programs.

    It is created if it is missing, with a password that is printed on stdout, and is shown only this once. Otherwise it is given the
    reports that it cannot read yet. It can read no table and write nothing.
    """
    reader = get_services().reporting.make_reader(name, new_password=new_password)
    if reader.statements:
        click.echo(
            "The user of DATABASE_URL may not do that. Let an administrator of the database run this, which is shown only once:",
            err=True,
        )
        click.echo("".join(f"{statement};\n" for statement in reader.statements), nl=False)
        raise click.exceptions.Exit(1)
    if reader.password is None:
        click.echo(f"{name} can read all reports.", err=True)
    else:
        click.echo(f"{name} can read all reports. Its password cannot be shown again:", err=True)
        click.echo(reader.password)


def _time(option: str, text: str | None) -> int | None:
    """A time in ms; None if none is given. Raises InvalidRequest."""
    if text is None:
        return None
    if ago := _AGO.fullmatch(text):
        return time.time_ns() // 1_000_000 - int(ago[1]) * _UNITS_MS[ago[2]]
    try:
        given = datetime.fromisoformat(text)
        return round((given if given.tzinfo else given.replace(tzinfo=UTC)).timestamp() * 1000)
    except (ValueError, OverflowError):
        raise InvalidRequest(
            f"{option} {printable(text)}: it must be how long ago, such as 7d or 24h, or a time such as 2026-01-31T18:00."
        ) from None


def _write_csv(opened: Report) -> None:
    writer = csv.writer(sys.stdout, lineterminator="\n")
    writer.writerow(opened.columns)
    writer.writerows([safe_cell(_plain(value)) for value in row] for row in opened.rows)


def _write_json(opened: Report) -> None:
    for row in opened.rows:
        click.echo(json.dumps(dict(zip(opened.columns, map(_plain, row), strict=True)), ensure_ascii=False))


def _write_table(opened: Report) -> None:
    """The first rows decide how wide a column is: a table of any length needs no more memory."""
    rows: Iterator[Sequence[str]] = ([_cell(value) for value in row] for row in opened.rows)
    first = list(islice(rows, MEASURED_ROWS))
    head = [name.upper() for name in opened.columns]
    widths = [max(len(row[n]) for row in (head, *first)) for n in range(len(head))]
    for row in chain([head], first, rows):
        print_row(*(cell.ljust(width) for cell, width in zip(row, widths, strict=True)))


def _plain(value: Any) -> Any:
    """The value as both databases show it: a time is the text that SQLite has."""
    if isinstance(value, datetime):
        return value.astimezone(UTC).replace(tzinfo=None).isoformat(" ", "milliseconds")
    return value.isoformat() if isinstance(value, date) else value


def _cell(value: Any) -> str:
    if value is None:
        return "-"
    text = f"{value:.3f}" if isinstance(value, float) else printable(str(_plain(value)))
    return text if len(text) <= WIDEST_COLUMN else f"{text[: WIDEST_COLUMN - 1]}…"


_WRITERS: dict[str, Callable[[Report], None]] = {"csv": _write_csv, "json": _write_json, "table": _write_table}
COMMANDS = (report, readonly_role)
