"""Options that several commands share, and how their values are read."""

from __future__ import annotations

import json
from collections.abc import Callable
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


def _keep_key(ctx: click.Context, _: click.Parameter, value: str | None) -> None:
    """Of this command, or of the whole program; `key_of` tells it."""
    if value:
        ctx.meta[_KEY] = value


def key_of(ctx: click.Context) -> str | None:
    """The key that was given; a header holds no line break, and none of its words is printed."""
    key: str | None = ctx.meta.get(_KEY)
    if key is not None and not (key.isascii() and key.isprintable()):
        raise click.UsageError("The key holds what no key holds: change --key or IMAGEFLEET_API_KEY.")
    return key


_KEY = "imagefleet.key"
_KEY_HELP = "An API key or a token, where the server wants one."
KEY = click.option("--key", callback=_keep_key, expose_value=False, help=_KEY_HELP)
KEY_OF_ALL = click.option(
    "--key",
    envvar="IMAGEFLEET_API_KEY",
    callback=_keep_key,
    expose_value=False,
    help=f"{_KEY_HELP} Or IMAGEFLEET_API_KEY.",
)
_SERVER = click.option("--server", callback=_chosen, help="The server's address.")


def SERVER(command: Callable[..., Any]) -> Callable[..., Any]:  # noqa: N802 - used like the others
    """Which server is asked, and who asks."""
    return _SERVER(KEY(command))


JSON = click.option("--json", "as_json", is_flag=True, help="Print the API's JSON.")
WAIT = click.option("--wait", is_flag=True, help="Wait until the request has ended.")
TIMEOUT = click.option("--timeout", type=click.FloatRange(min=0), help="Wait so many seconds at most.")
OUTPUT = click.option(
    "--output", type=click.Path(file_okay=False, path_type=Path), help="Save the pictures in this folder."
)
ID = click.argument("request_id", metavar="ID")
