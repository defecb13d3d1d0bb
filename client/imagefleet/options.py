"""Options that several commands share, and their parsing."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import click

from imagefleet.durations import METAVAR, seconds


def parameters(_: click.Context, __: click.Parameter, pairs: tuple[str, ...]) -> dict[str, Any]:
    """Parse `name=value` pairs; a value that is not JSON is a string."""
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


WAIT = click.option("--wait", is_flag=True, help="Wait until the request is completed or has failed.")
TIMEOUT = click.option(
    "--timeout",
    metavar=METAVAR,
    callback=seconds(),
    help="Wait no longer than this, such as 90s or 10m. The request itself continues.",
)
PATIENCE = click.option(
    "--patience",
    metavar=METAVAR,
    callback=seconds(),
    default="10m",
    show_default=True,
    help="How long to keep trying while the server's rate limit refuses the request.",
)
WAIT_FOR_EXTENSION = click.option(
    "--wait-for-extension",
    "deadline_s",
    metavar=METAVAR,
    callback=seconds(1, 604_800),
    help="How long the request may wait for an extension that can do it, such as 8h or 2d; at most 7d. It fails if it is "
    "not completed by then.",
)
CACHE = click.option(
    "--cache",
    type=click.Choice(["off", "prefer", "only"]),
    help="Whether it may get the pictures of an identical request of yours: prefer them to new ones, or take nothing else. "
    "Off by default.",
)
OUTPUT = click.option(
    "--output", type=click.Path(file_okay=False, path_type=Path), help="Folder to save the pictures in."
)
ID = click.argument("request_id", metavar="ID")
