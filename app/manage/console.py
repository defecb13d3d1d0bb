"""What the commands share: how they reach the service's own code, how they refuse, how they print."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from functools import wraps
from typing import Any

import click

from app.config import BadSetting
from app.container import Services
from app.domain.access import Scope
from app.domain.clock import wire_time
from app.domain.errors import Refusal
from app.launch.checks import NotReady

DAY_MS = 86_400_000
SCOPES = click.option(
    "--scope",
    "scopes",
    type=click.Choice([scope.value for scope in Scope]),
    multiple=True,
    default=(Scope.READ.value, Scope.WRITE.value),
    show_default="read, write",
    help="What it may be used for; give it again for another.",
)
DAYS = click.option("--days", type=click.IntRange(1, 36_500), help="How long it is good; for ever without it.")
GetServices = Callable[[], Services]
Body = Callable[..., None]


def command(name: str) -> Callable[[Body], click.Command]:
    """Make a command of a function that takes `GetServices` first; its docstring is the help, a refusal is one line."""

    def decorate(body: Body) -> click.Command:
        @wraps(body)
        def run(*said: Any, **named: Any) -> None:
            try:
                body(*said, **named)
            except (Refusal, BadSetting, NotReady) as refusal:
                raise click.ClickException(str(refusal)) from None

        return click.command(name)(click.pass_obj(run))

    return decorate


def line(*words: str) -> None:
    """One line of a list."""
    click.echo("  ".join(words).rstrip())


def table(head: Sequence[str], rows: Iterable[Sequence[str]]) -> None:
    """Rows under their heads, each column as wide as it needs to be."""
    whole = [head, *([plain(word) for word in row] for row in rows)]
    widths = [max(len(row[n]) for row in whole) for n in range(len(head))]
    for row in whole:
        line(*(word.ljust(width) for word, width in zip(row, widths, strict=True)))


def plain(text: str) -> str:
    """Words of strangers, which do nothing to a terminal."""
    return "".join(mark if mark.isprintable() else "?" for mark in text)


def state(*, live: bool, revoked: bool, disabled: bool = False) -> str:
    """How a secret stands."""
    if revoked:
        return "revoked"
    if not live:
        return "expired"
    return "disabled" if disabled else "live"


def last_use(at_ms: int | None) -> str:
    """When a secret was used last."""
    return "never used" if at_ms is None else f"used {wire_time(at_ms)}"
