"""Options that several commands share, and how their values are read."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import click


def _chosen(ctx: click.Context, _: click.Parameter, value: str | None) -> str:
    """Of this command, or of the whole program."""
    return value or str(ctx.obj)


def parameters(_: click.Context, __: click.Parameter, pairs: tuple[str, ...]) -> dict[str, Any]:
    """`k=v` pairs; what reads as JSON is taken as that, anything else as text."""
    read: dict[str, Any] = {}
    for pair in pairs:
        name, equals, value = pair.partition("=")
        if not name or not equals:
            raise click.BadParameter(f"{pair!r} is not of the form name=value")
        try:
            read[name] = json.loads(value, parse_constant=str)
        except ValueError:
            read[name] = value
    return read


SERVER = click.option("--server", callback=_chosen, help="The server's address.")
JSON = click.option("--json", "as_json", is_flag=True, help="Print the API's JSON.")
WAIT = click.option("--wait", is_flag=True, help="Wait until the request has ended.")
TIMEOUT = click.option("--timeout", type=click.FloatRange(min=0), help="Wait so many seconds at most.")
OUTPUT = click.option(
    "--output", type=click.Path(file_okay=False, path_type=Path), help="Save the pictures in this folder."
)
ID = click.argument("request_id", metavar="ID")
