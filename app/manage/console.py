"""What the commands share: options, access to the services, errors, output."""

import sys
from collections.abc import Callable, Iterable, Sequence
from functools import wraps
from io import TextIOWrapper
from typing import Any

import click

from app.config import BadSetting
from app.container import Services
from app.domain.access import Scope
from app.domain.clock import wire_time
from app.domain.errors import Refusal
from app.domain.images import PictureError
from app.launch.checks import NotReady

DAY_MS = 86_400_000
SCOPES = click.option(
    "--scope",
    "scopes",
    type=click.Choice([scope.value for scope in Scope]),
    multiple=True,
    default=(Scope.READ.value, Scope.WRITE.value),
    show_default="read, write",
    help="What it may be used for; repeat it for several. admin includes read.",
)
DAYS = click.option("--days", type=click.IntRange(1, 36_500), help="Days after which it expires; by default never.")
GetServices = Callable[[], Services]
Function = Callable[..., None]


def command(name: str) -> Callable[[Function], click.Command]:
    """Make a command of a function that takes `GetServices` first; its docstring is the help, an error is one line."""

    def decorate(function: Function) -> click.Command:
        @wraps(function)
        def run(*args: Any, **kwargs: Any) -> None:
            try:
                function(*args, **kwargs)
            except (Refusal, BadSetting, NotReady, PictureError) as refusal:
                raise click.ClickException(str(refusal)) from None

        return click.command(name)(click.pass_obj(run))

    return decorate


def escape_what_cannot_be_encoded() -> None:
    """Print characters that the encoding of the terminal does not have as escapes such as \\u4e2d."""
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, TextIOWrapper):
            stream.reconfigure(errors="backslashreplace")


def print_row(*cells: str) -> None:
    """Print one line of a list."""
    click.echo("  ".join(cells).rstrip())


def print_rows(rows: Iterable[Sequence[str]], none: str) -> None:
    """Print a list without heads, or on stderr that there is nothing to list."""
    is_empty = True
    for row in rows:
        is_empty = False
        print_row(*row)
    if is_empty:
        click.echo(none, err=True)


def print_table(head: Sequence[str], rows: Iterable[Sequence[str]]) -> None:
    """Print rows under their heads, each column as wide as it needs to be."""
    whole = [head, *([printable(cell) for cell in row] for row in rows)]
    widths = [max(len(row[n]) for row in whole) for n in range(len(head))]
    for row in whole:
        print_row(*(cell.ljust(width) for cell, width in zip(row, widths, strict=True)))


def printable(text: str) -> str:
    """Text of others without characters that control a terminal."""
    return "".join(mark if mark.isprintable() else "?" for mark in text)


def credential_state(*, live: bool, revoked: bool, expires_at: int | None, disabled: bool = False) -> str:
    """The state of a credential, and until when it is valid if it expires."""
    if revoked:
        return "revoked"
    if not live:
        return "expired"
    if disabled:
        return "disabled"
    return "valid" if expires_at is None else f"valid until {wire_time(expires_at)}"


def last_use(at_ms: int | None) -> str:
    """When a credential was used last."""
    return "never used" if at_ms is None else f"used {wire_time(at_ms)}"
