"""`imagefleet login` and `logout`: keep a server's address and the key for it."""

from __future__ import annotations

import sys

import click

from imagefleet import profiles
from imagefleet.access import checked_address, checked_key, profile_name
from imagefleet.defaults import DEFAULT_URL
from imagefleet.options import command
from imagefleet.output.terminal import is_terminal
from imagefleet.session import PATIENCE_S, Session

LOGIN_EXAMPLES = """
imagefleet login                                   (asks for address and key)
imagefleet login https://pictures.example --profile work
imagefleet login https://pictures.example < key.txt
"""

LOGOUT_EXAMPLES = """
imagefleet logout
imagefleet logout --profile work
"""


@command("login", examples=LOGIN_EXAMPLES)
@click.argument("address", required=False)
@click.option("--no-keyring", is_flag=True, help="Keep the key in a file that only you can read, not in the keyring.")
def login(session: Session, address: str | None, no_keyring: bool) -> None:
    """Keep the address of a server and the key for it.

    The key is asked for without being shown, or read from stdin; leave it empty for a server that requires none. It is
    tried with the server before it is kept: in the system's keyring, or where there is none in a file that only you can
    read. Without --profile it is what every command uses.
    """
    name = profile_name(session.option("profile"))
    server = checked_address(address or session.option("server") or _ask_for_address(name))
    key = checked_key(session.option("key") or _ask_for_key(server))
    _try(server, key)
    kept = profiles.keep(name, server, key, in_file=no_keyring)
    session.remark(f"Logged in to {server}{_place(kept, no_keyring)}.")


@command("logout", examples=LOGOUT_EXAMPLES)
def logout(session: Session) -> None:
    """Forget the address and the key that `login` kept. The key itself stays valid."""
    name = profile_name(session.option("profile"))
    server = profiles.find(name).server
    profiles.forget(name)
    session.remark(f"Logged out of {server}.")


def _ask_for_address(name: str) -> str:
    known = profiles.load().get(name)
    default = known.server if known else DEFAULT_URL
    if not is_terminal():
        raise click.UsageError("Name the server's address: `imagefleet login ADDRESS`.")
    return str(click.prompt("Address of the server", default=default, err=True))


def _ask_for_key(server: str) -> str | None:
    """The key from the terminal without an echo, or the first line of stdin."""
    if is_terminal():
        return str(
            click.prompt(
                f"Key for {server} (empty if it requires none)", "", hide_input=True, show_default=False, err=True
            )
        )
    return "" if sys.stdin is None else sys.stdin.readline().strip()


def _try(server: str, key: str | None) -> None:
    """Send a request with the key. Raises Unauthorized if the server does not accept it."""
    from imagefleet.client import Client  # noqa: PLC0415 - the HTTP library is slow to load
    from imagefleet.errors import Forbidden  # noqa: PLC0415 - the same

    with Client(server, key=key, patience_s=PATIENCE_S) as client:
        try:
            next(client.list(page_size=1), None)
        except Forbidden:
            return  # the key is known, and may do other things


def _place(kept: profiles.Profile, no_keyring: bool) -> str:
    if kept.key_in == profiles.KEYRING:
        return "; the key is in the keyring"
    if kept.key_in == profiles.FILE:
        why = "" if no_keyring else ", since there is no keyring that takes it"
        return f"; the key is in {profiles.file()}{why}"
    return " without a key"
