"""Logins that `imagefleet login` has kept: an address and a key by a name.

Addresses are in `profiles.json` in the folder of the person's settings. A key is in the system's keyring, or where there is none
in `keys.json` beside it, which its owner alone can read.
"""

from __future__ import annotations

import contextlib
import json
import os
import stat
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import click

DEFAULT = "default"
_SERVICE = "imagefleet"


@dataclass(frozen=True)
class Profile:
    """A login. `store` is where its key is: "keyring", "file", or None if it needs none."""

    name: str
    server: str
    store: str | None


def folder() -> Path:
    """Where the settings of this person are; IMAGEFLEET_CONFIG names another folder."""
    return Path(os.environ.get("IMAGEFLEET_CONFIG") or click.get_app_dir("imagefleet"))


def find(name: str | None) -> Profile | None:
    """The profile of this name, or the one of the last login without a name; None if there is none."""
    return _read_profiles().get(name or DEFAULT)


def key_of(profile: Profile) -> str | None:
    """The key that was kept for it. Raises click.ClickException if it cannot be read."""
    if profile.store == "keyring":
        with _keyring_faults():
            import keyring  # noqa: PLC0415 - slow to load

            key = keyring.get_password(_SERVICE, profile.name)
    else:
        key = _read_keys().get(profile.name) if profile.store == "file" else None
    if key is None and profile.store is not None:
        raise click.ClickException(
            f"The key of the profile {profile.name!r} is gone. Log in again: `imagefleet login --profile {profile.name}`."
        )
    return key


def keep(name: str, server: str, key: str | None, *, use_keyring: bool = True) -> Profile:
    """Keep a login in place of an earlier one of this name. Raises OSError if a file cannot be written."""
    forget(name)
    store = None if key is None else "keyring" if use_keyring and _kept_in_keyring(name, key) else "file"
    if store == "file":
        _write(_keys_file(), {**_read_keys(), name: key})
    profile = Profile(name, server, store)
    _write(_profiles_file(), _as_json({**_read_profiles(), name: profile}))
    return profile


def forget(name: str) -> bool:
    """Remove a login and its key; False if there was none."""
    known = _read_profiles()
    profile = known.pop(name, None)
    if profile is None:
        return False
    if profile.store == "keyring":
        with _keyring_faults():
            import keyring  # noqa: PLC0415 - slow to load
            from keyring.errors import PasswordDeleteError  # noqa: PLC0415 - the same

            with contextlib.suppress(PasswordDeleteError):
                keyring.delete_password(_SERVICE, name)
    if profile.store == "file":
        _write(_keys_file(), {other: key for other, key in _read_keys().items() if other != name})
    _write(_profiles_file(), _as_json(known))
    return True


def _kept_in_keyring(name: str, key: str) -> bool:
    import keyring  # noqa: PLC0415 - slow to load
    from keyring.errors import KeyringError  # noqa: PLC0415 - the same

    try:
        keyring.set_password(_SERVICE, name, key)
        return keyring.get_password(_SERVICE, name) == key
    except (KeyringError, RuntimeError):
        return False


@contextlib.contextmanager
def _keyring_faults() -> Iterator[None]:
    from keyring.errors import KeyringError  # noqa: PLC0415 - slow to load

    try:
        yield
    except (KeyringError, RuntimeError) as error:
        raise click.ClickException(
            f"The system's keyring, which has the key, does not answer: {error}. Unlock it, or set IMAGEFLEET_API_KEY."
        ) from None


def _profiles_file() -> Path:
    return folder() / "profiles.json"


def _keys_file() -> Path:
    return folder() / "keys.json"


def _as_json(known: dict[str, Profile]) -> dict[str, Any]:
    return {name: {"server": each.server, "key": each.store} for name, each in known.items()}


def _read_profiles() -> dict[str, Profile]:
    return {
        name: Profile(name, str(fields["server"]), fields.get("key"))
        for name, fields in _read(_profiles_file()).items()
        if isinstance(fields, dict) and "server" in fields
    }


def _read_keys() -> dict[str, str]:
    path = _keys_file()
    with contextlib.suppress(FileNotFoundError):
        if os.name == "posix" and stat.S_IMODE(path.stat().st_mode) & 0o077:
            raise click.ClickException(f"Others can read the keys in {path}. Change that: chmod 600 {path}")
    return {name: str(key) for name, key in _read(path).items()}


def _read(path: Path) -> dict[str, Any]:
    try:
        content = json.loads(path.read_bytes())
    except FileNotFoundError:
        return {}
    except (OSError, ValueError) as error:
        why = (isinstance(error, OSError) and error.strerror) or "it is not JSON"
        raise click.ClickException(f"{path} cannot be read: {why}. Mend it, or remove it and log in again.") from None
    if not isinstance(content, dict):
        raise click.ClickException(f"{path} cannot be read: it is not an object. Remove it and log in again.")
    return content


def _write(path: Path, content: dict[str, Any]) -> None:
    """Replace the file as a whole; only its owner may read it."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.NamedTemporaryFile("w", dir=path.parent, delete=False, encoding="utf-8") as file:  # mode 0600
        json.dump(content, file, indent=2)
    try:
        Path(file.name).replace(path)
    except OSError:
        Path(file.name).unlink(missing_ok=True)
        raise
