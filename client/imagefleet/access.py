"""Which server a command speaks to, and with which key."""

from __future__ import annotations

import os
from dataclasses import dataclass, field

import click

from imagefleet import profiles
from imagefleet.defaults import DEFAULT_URL


@dataclass(frozen=True)
class Access:
    """The address of a server, and the key for it, if there is one."""

    server: str
    key: str | None = field(default=None, repr=False)


def chosen_access(server: str | None, key: str | None, profile: str | None) -> Access:
    """Options come before the environment, and that before the profile. A kept key is only for the server that it was kept for."""
    server = server or os.environ.get("IMAGEFLEET_URL") or None
    key = key or os.environ.get("IMAGEFLEET_API_KEY") or None
    name = profile or os.environ.get("IMAGEFLEET_PROFILE") or None
    kept = profiles.find(name)
    if kept is None and name is not None:
        raise click.UsageError(f"There is no profile {name!r}. Make it with `imagefleet login --profile {name}`.")
    if kept is not None and server in (None, kept.server):
        return Access(kept.server, _valid(key or profiles.key_of(kept)))
    return Access(server or DEFAULT_URL, _valid(key))


def _valid(key: str | None) -> str | None:
    """The key, if it fits in a header. The error never contains the key."""
    if key is not None and not (key.isascii() and key.isprintable()):
        raise click.UsageError("The key contains invalid characters: change --key or IMAGEFLEET_API_KEY.")
    return key
