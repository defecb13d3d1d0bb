"""Times on the command line, and in words."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import click

from imagefleet.durations import parse


def moment(_ctx: click.Context, _param: click.Parameter, value: str | None) -> datetime | None:
    """The callback of an option whose value is a time: how long ago (2d), or a date, with a time of day if you like.

    Without a zone it is the local time.
    """
    if value is None:
        return None
    ago_s = parse(value)
    try:
        if ago_s is not None:
            return datetime.now(UTC) - timedelta(seconds=ago_s)
        return datetime.fromisoformat(value).astimezone()
    except (ValueError, OverflowError, OSError):
        raise click.BadParameter(f"{value!r} is not a time such as 2d (ago), 2024-01-14 or 2024-01-14T18:00") from None


def in_words(seconds: float) -> str:
    """A duration as people say it: 40 seconds, 3 minutes, 2 hours, 4 days."""
    for unit, name in ((86_400, "day"), (3_600, "hour"), (60, "minute")):
        if seconds >= unit * 1.5 or (unit == 60 and seconds >= 90):
            return _counted(round(seconds / unit), name)
    return _counted(max(1, round(seconds)), "second")


def clock(moment: datetime) -> str:
    """The local time of day; with the date if that is not today."""
    local = moment.astimezone()
    return f"{local:%H:%M}" if local.date() == datetime.now().astimezone().date() else f"{local:%Y-%m-%d %H:%M}"


def _counted(count: int, name: str) -> str:
    return f"{count} {name}{'' if count == 1 else 's'}"
