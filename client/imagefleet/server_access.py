"""How a command connects to the server."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

import click

from imagefleet.options import key_of

if TYPE_CHECKING:
    from imagefleet.client import Client

# A person at a terminal should learn within seconds that the server is down; the library retries longer.
PATIENCE_S = 3.0


@contextmanager
def connect(server: str) -> Iterator[Client]:
    """A client for the server at this address, with the key that the command was given."""
    from imagefleet.client import Client  # noqa: PLC0415 - the HTTP library is slow to load

    with valid_address():
        fleet = Client(server, key=key_of(click.get_current_context()), patience_s=PATIENCE_S)
    with fleet:
        yield fleet


@contextmanager
def valid_address() -> Iterator[None]:
    """Report an invalid address as an error on the command line."""
    try:
        yield
    except ValueError as error:
        raise click.UsageError(f"{error} Change --server or IMAGEFLEET_URL.") from None
