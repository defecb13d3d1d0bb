"""Which server a command speaks to, and with which key."""

from __future__ import annotations

import os
from dataclasses import dataclass, field

import click

from imagefleet import addresses, profiles
from imagefleet.defaults import DEFAULT_URL

URL, KEY, PROFILE = "IMAGEFLEET_URL", "IMAGEFLEET_API_KEY", "IMAGEFLEET_PROFILE"


@dataclass(frozen=True)
class Access:
    """The address of a server, and the key for it, if there is one. `profile` names the profile that it is from."""

    server: str
    key: str | None = field(default=None, repr=False)
    profile: str | None = None


def chosen_access(server: str | None, key: str | None, profile: str | None) -> Access:
    """The server and the key: of the options (`profile` is one), else of the environment, else of the default profile.

    A kept key is sent only to the server that it was kept for. Raises click.UsageError or ProfileError.
    """
    env = {} if profile else os.environ
    server, key, named = server or env.get(URL), key or env.get(KEY), profile or env.get(PROFILE)
    name = named or profiles.DEFAULT_PROFILE
    kept = None
    if named or not (server and key):
        kept = profiles.find(name) if named else profiles.load().get(name)
    address = checked_address(server or (kept.server if kept else DEFAULT_URL))
    if kept is None or address != kept.server:
        return Access(address, checked_key(key))
    return Access(address, checked_key(key or profiles.key_of(name, kept)), name)


def profile_name(profile: str | None) -> str:
    """The profile that is meant: of the option, of the environment, or the default one."""
    return profile or os.environ.get(PROFILE) or profiles.DEFAULT_PROFILE


def checked_address(text: str) -> str:
    """The address. Raises click.UsageError if it cannot be one."""
    try:
        return addresses.checked(text)
    except ValueError as error:
        raise click.UsageError(f"{error} Change --server, {URL} or the profile.") from None


def checked_key(key: str | None) -> str | None:
    """The key, which fits in a header. The error never contains it."""
    if key is not None and not (key.isascii() and key.isprintable()):
        raise click.UsageError(f"The key contains invalid characters: change --key, {KEY} or the profile.")
    return key or None
