"""Commands with examples in their help, the options that several share, and their parsing."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import click

from imagefleet.durations import METAVAR, seconds
from imagefleet.session import SharedOption, shared_options

Function = Callable[..., Any]


class Command(click.Command):
    """A command whose help lists the options of every command last, and then examples."""

    def __init__(self, *args: Any, examples: str = "", **options: Any) -> None:
        super().__init__(*args, **options)
        self.examples = examples

    def format_options(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """Write the options: the command's own first."""
        _write_options(self, ctx, formatter)

    def format_epilog(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """Write the examples and the epilog."""
        _write_examples(self.examples, formatter)
        super().format_epilog(ctx, formatter)


class Group(click.Group):
    """A group of commands, such as `styles`, with help as a command's."""

    def __init__(self, *args: Any, examples: str = "", **options: Any) -> None:
        super().__init__(*args, **options)
        self.examples = examples

    def format_options(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """Write the commands and the options."""
        self.format_commands(ctx, formatter)
        _write_options(self, ctx, formatter)

    def format_epilog(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """Write the examples and the epilog."""
        _write_examples(self.examples, formatter)
        super().format_epilog(ctx, formatter)


def command(name: str, *, examples: str, epilog: str | None = None) -> Callable[[Function], Command]:
    """Make a command of a function, whose first argument is the `Session`. `examples` are lines of its help."""

    def decorate(function: Function) -> Command:
        return click.command(name, cls=Command, examples=examples, epilog=epilog)(shared_options(function))

    return decorate


def group(name: str, summary: str, *commands: Command, examples: str) -> Group:
    """A group of these commands; without one of them it does what the first does."""

    @shared_options
    def run(_session: object) -> None:
        ctx = click.get_current_context()
        if ctx.invoked_subcommand is None:
            ctx.invoke(commands[0])

    made = click.group(name, cls=Group, examples=examples, help=summary, invoke_without_command=True)(run)
    for each in commands:
        made.add_command(each)
    return made


def _write_options(described: click.Command, ctx: click.Context, formatter: click.HelpFormatter) -> None:
    sections: dict[str, list[tuple[str, str]]] = {"Options": [], "Options of every command": []}
    for param in described.get_params(ctx):
        record = param.get_help_record(ctx) if isinstance(param, click.Option) else None
        if record is not None:
            sections["Options of every command" if isinstance(param, SharedOption) else "Options"].append(record)
    for title, records in sections.items():
        if records:
            with formatter.section(title):
                formatter.write_dl(records)


def _write_examples(examples: str, formatter: click.HelpFormatter) -> None:
    if examples:
        with formatter.section("Examples"):
            for line in examples.strip().splitlines():
                formatter.write(f"{'':>{formatter.current_indent}}{line.strip()}\n")


def parameters(_: click.Context, __: click.Parameter, pairs: tuple[str, ...]) -> dict[str, Any]:
    """Parse `name=value` pairs; a value that is not JSON is a string."""
    read: dict[str, Any] = {}
    for name, value in _pairs(pairs):
        try:
            read[name] = json.loads(value, parse_constant=str)
        except ValueError:
            read[name] = value
    return read


def texts(_: click.Context, __: click.Parameter, pairs: tuple[str, ...]) -> dict[str, str]:
    """Parse `name=value` pairs whose values are text."""
    return dict(_pairs(pairs))


def whole_days(_ctx: click.Context, _param: click.Parameter, value: str | None) -> int | None:
    """Parse a number of days: 30 or 30d."""
    if value is None:
        return None
    text = value.removesuffix("d")
    if not (text.isascii() and text.isdigit() and len(text) <= 6):
        raise click.BadParameter(f"{value!r} is not a number of days such as 30d")
    return int(text)


def _pairs(pairs: tuple[str, ...]) -> list[tuple[str, str]]:
    split = [pair.partition("=") for pair in pairs]
    for pair, (name, equals, _) in zip(pairs, split, strict=True):
        if not name or not equals:
            raise click.BadParameter(f"{pair!r} is not of the form name=value")
    return [(name, value) for name, _, value in split]


ID = click.argument("request_id", metavar="ID")
USER = click.option("--user", metavar="USER", help="Whose; for operators, and where no key is needed.")
PARAMETERS = click.option(
    "--param", multiple=True, callback=parameters, metavar="NAME=VALUE", help="Any other parameter; may be repeated."
)
TIMEOUT = click.option(
    "--timeout",
    metavar=METAVAR,
    callback=seconds(),
    help="Wait no longer than this, such as 90s or 10m. The request itself continues.",
)
OUTPUT = click.option(
    "--output",
    "-o",
    type=click.Path(file_okay=False, path_type=Path),
    metavar="DIR",
    help="Folder to save the pictures in; it is made if it is missing. No file is overwritten.",
)
LIMIT = click.option(
    "--limit", type=click.IntRange(min=1), default=20, show_default=True, help="Maximum number of results."
)
DOWNLOAD_CONCURRENCY = click.option(
    "--download-concurrency",
    type=click.IntRange(1, 64),
    default=4,
    show_default=True,
    help="How many pictures are fetched at once.",
)
# Of commands that work through a night.
NIGHT_PATIENCE = click.option(
    "--patience",
    metavar=METAVAR,
    callback=seconds(),
    default="12h",
    show_default=True,
    help="How long to keep trying while the server is away or its rate limit refuses.",
)
