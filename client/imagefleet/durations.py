"""Durations on the command line, such as 90, 10m or 1h30m."""

from __future__ import annotations

import re
from collections.abc import Callable

import click

UNITS_S = {"d": 86_400, "h": 3_600, "m": 60, "s": 1}
_PART = re.compile(r"(\d+(?:\.\d+)?)([dhms])", re.ASCII)
_SECONDS = re.compile(r"\d+(?:\.\d+)?", re.ASCII)


METAVAR = "DURATION"

Callback = Callable[[click.Context, click.Parameter, str | None], float | None]


def seconds(least_s: float = 0.0, most_s: float = float("inf")) -> Callback:
    """The callback of an option whose value is a duration within these bounds; the option gets seconds."""

    def convert(_ctx: click.Context, _param: click.Parameter, value: str | None) -> float | None:
        if value is None:
            return None
        found = parse(value)
        if found is None:
            raise click.BadParameter(f"{value!r} is not a duration such as 90s, 10m, 8h, 2d or 1h30m")
        if not least_s <= found <= most_s:
            bound = f"at least {shown(least_s)}" if found < least_s else f"at most {shown(most_s)}"
            raise click.BadParameter(f"{value!r} must be {bound}")
        return found

    return convert


def parse(text: str) -> float | None:
    """The seconds of a text such as 1h30m; None if it is not a duration. Without a unit it is in seconds."""
    if _SECONDS.fullmatch(text):
        return float(text)
    parts = _PART.findall(text)
    if not parts or "".join(number + unit for number, unit in parts) != text:
        return None
    return sum(float(number) * UNITS_S[unit] for number, unit in parts)


def shown(seconds: float) -> str:
    """The seconds with the largest unit of which they are a multiple."""
    unit, size = next((unit, size) for unit, size in UNITS_S.items() if seconds % size == 0 or size == 1)
    return f"{seconds / size:g}{unit}"
