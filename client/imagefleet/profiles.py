"""Profiles: the address of a server and the key for it, kept by `imagefleet login`.

Addresses are in a file that only its owner can read. Keys are in the system's keyring; where there is none, in that file.
"""

from __future__ import annotations

import contextlib
import json
import os
import tempfile
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import click

DEFAULT_PROFILE = "default"
SERVICE = "imagefleet"
FILE, KEYRING = "file", "keyring"


class ProfileError(click.ClickException):
    """A profile cannot be used; the text says what to do."""

    exit_code = 2


@dataclass(frozen=True, slots=True)
class Profile:
    """A server and where the key for it is kept: in the `keyring`, in the `file` (then `key` has it), or nowhere (None)."""

    server: str
    key_in: str | None = None
    key: str | None = None


def folder() -> Path:
    """Where profiles are kept: IMAGEFLEET_CONFIG_DIR, or the place that this system has for that."""
    return Path(os.environ.get("IMAGEFLEET_CONFIG_DIR") or click.get_app_dir("imagefleet"))


def file() -> Path:
    """The file of the profiles."""
    return folder() / "profiles.json"


def load() -> dict[str, Profile]:
    """All profiles by their names. Raises ProfileError if their file cannot be read."""
    try:
        content = json.loads(file().read_text(encoding="utf-8"))
        return {str(name): _profile(fields) for name, fields in content["profiles"].items()}
    except FileNotFoundError:
        return {}
    except OSError as error:
        raise ProfileError(f"The profiles in {file()} cannot be read: {error.strerror}. Change its rights.") from None
    except (ValueError, KeyError, TypeError, AttributeError):
        raise ProfileError(
            f"The profiles in {file()} cannot be understood: correct the file, or remove it and log in again."
        ) from None


def find(name: str) -> Profile:
    """The profile of this name. Raises ProfileError if there is none."""
    known = load()
    if name not in known:
        others = f"There is {', '.join(sorted(known))}." if known else "There is none yet."
        option = "" if name == DEFAULT_PROFILE else f" --profile {name}"
        raise ProfileError(f"There is no profile {name!r}. {others} Make it with `imagefleet login{option}`.")
    return known[name]


def key_of(name: str, profile: Profile) -> str | None:
    """The key of the profile. Raises ProfileError if the keyring does not give it."""
    if profile.key_in != KEYRING:
        return profile.key
    try:
        key = _keyring().get_password(SERVICE, name)
    except Exception as error:  # noqa: BLE001 - each keyring has errors of its own
        raise ProfileError(f"The keyring does not give the key of profile {name!r}: {error}. {_REMEDY}") from None
    if key is None:
        raise ProfileError(f"The keyring has no key of profile {name!r} any more. {_REMEDY}")
    return str(key)


def keep(name: str, server: str, key: str | None, *, in_file: bool) -> Profile:
    """Keep an address and a key. The key goes into the keyring unless there is none, or it is to be `in_file`."""
    known = load()
    _forget_key(name, known.get(name))
    profile = Profile(server)
    if key is not None:
        in_keyring = not in_file and _keyring_takes(name, key)
        profile = replace(profile, key_in=KEYRING) if in_keyring else replace(profile, key_in=FILE, key=key)
    _save({**known, name: profile})
    return profile


def forget(name: str) -> None:
    """Remove a profile and its key. Raises ProfileError if there is none."""
    profile = find(name)
    _forget_key(name, profile)
    _save({other: each for other, each in load().items() if other != name})


_REMEDY = "Unlock it, set IMAGEFLEET_API_KEY, or log in again with --no-keyring."


def _profile(fields: Mapping[str, Any]) -> Profile:
    server, key_in, key = fields["server"], fields.get("keyIn"), fields.get("key")
    if not isinstance(server, str) or not isinstance(key, str | None) or key_in not in (None, FILE, KEYRING):
        raise ValueError(server)
    return Profile(server, key_in, key)


def _save(profiles: Mapping[str, Profile]) -> None:
    """Replace the file at once, so that it is never half written; only its owner can read it from its first moment on."""
    stored = {name: _fields(each) for name, each in sorted(profiles.items())}
    target = file()
    target.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    descriptor, name = tempfile.mkstemp(prefix=".profiles-", dir=target.parent)
    try:
        with os.fdopen(descriptor, "w", encoding="utf-8") as written:
            json.dump({"profiles": stored}, written, indent=2)
        os.replace(name, target)
    except BaseException:
        with contextlib.suppress(OSError):
            Path(name).unlink()
        raise


def _fields(profile: Profile) -> dict[str, str]:
    fields = {"server": profile.server, "keyIn": profile.key_in, "key": profile.key}
    return {name: value for name, value in fields.items() if value is not None}


def _keyring_takes(name: str, key: str) -> bool:
    """True if the keyring keeps the key; one that only pretends to does not."""
    try:
        ring = _keyring()
        ring.set_password(SERVICE, name, key)
        return bool(ring.get_password(SERVICE, name) == key)
    except Exception:  # noqa: BLE001 - each keyring has errors of its own; the file is used instead
        return False


def _forget_key(name: str, profile: Profile | None) -> None:
    if profile is not None and profile.key_in == KEYRING:
        with contextlib.suppress(Exception):  # it may be gone already, or the keyring with it
            _keyring().delete_password(SERVICE, name)


def _keyring() -> Any:
    import keyring  # noqa: PLC0415 - slow to load, and needed only where a key is kept in it

    return keyring
