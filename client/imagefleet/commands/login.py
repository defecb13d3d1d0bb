"""`imagefleet login` and `imagefleet logout`."""

from __future__ import annotations

import sys
from itertools import islice

import click

from imagefleet import profiles
from imagefleet.access import Access
from imagefleet.addresses import checked
from imagefleet.defaults import DEFAULT_URL
from imagefleet.exits import fail
from imagefleet.session import Session, valid_address
from imagefleet.terminal import plain

EXAMPLES = """\b
Examples:
  imagefleet login --server https://pictures.example.com
  imagefleet login --profile studio --server https://studio.example.com < key.txt
  imagefleet list --profile studio"""


@click.command(epilog=EXAMPLES)
@click.option(
    "--server", metavar="URL", envvar="IMAGEFLEET_URL", help="The server's address. It is asked for if left out."
)
@click.option(
    "--profile", metavar="NAME", default=profiles.DEFAULT, show_default=True, help="A name, to have several logins."
)
@click.option("--no-keyring", is_flag=True, help="Keep the key in a file that you alone can read, not in the keyring.")
def login(server: str | None, profile: str, no_keyring: bool) -> None:
    """Keep the server's address and your key for later commands.

    The key is asked for without showing it, or read from stdin. It is tried before it is kept: in the system's keyring, or
    where there is none in a file that you alone can read. A server that requires no key needs none.
    """
    interactive = sys.stdin.isatty()
    if server is None:
        server = click.prompt("Address of the server", default=DEFAULT_URL, err=True) if interactive else DEFAULT_URL
    with valid_address():
        server = checked(server)
    key = _read_key(interactive=interactive)
    _try(Session(Access(server, key)))
    kept = profiles.keep(profile, server, key, use_keyring=not no_keyring)
    places = {"keyring": "in the system's keyring", "file": f"in {profiles.folder() / 'keys.json'}"}
    where = f"; the key is {places[kept.store]}" if kept.store else ", which requires no key"
    click.echo(plain(f"Logged in to {server} as profile {profile}{where}."), err=True)


@click.command()
@click.option("--profile", metavar="NAME", default=profiles.DEFAULT, show_default=True, help="Which login to forget.")
def logout(profile: str) -> None:
    """Forget the address and the key of a login. The key itself stays valid: the operator can revoke it."""
    if not profiles.forget(profile):
        fail(f"There is no profile {profile!r}.")
    click.echo(plain(f"Forgot the profile {profile}."), err=True)


def _read_key(*, interactive: bool) -> str | None:
    if interactive:
        key = click.prompt(
            "API key (empty if none is required)", default="", show_default=False, hide_input=True, err=True
        )
    else:
        key = sys.stdin.readline()
    key = key.strip()
    if not (key.isascii() and key.isprintable()):
        raise click.UsageError("The key contains invalid characters.")
    return key or None


def _try(session: Session) -> None:
    """A request that needs the key."""
    with session.connect() as client:
        list(islice(client.list(page_size=1), 1))
