"""How a command reaches the server."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

import click

from imagefleet.options import key_of

if TYPE_CHECKING:
    from imagefleet.client import Imagefleet

# The command is told within seconds that there is no server; the library has more patience.
PATIENCE_S = 3.0


@contextmanager
def fleet_at(server: str) -> Iterator[Imagefleet]:
    """The server at this address, with the key that the command was given."""
    from imagefleet.client import Imagefleet  # noqa: PLC0415 - the HTTP library takes long to load

    with valid_address():
        fleet = Imagefleet(server, key=key_of(click.get_current_context()), patience_s=PATIENCE_S)
    with fleet:
        yield fleet


@contextmanager
def valid_address() -> Iterator[None]:
    """An address that cannot be one is a mistake on the command line."""
    try:
        yield
    except ValueError as error:
        raise click.UsageError(f"{error}: change --server or IMAGEFLEET_URL.") from None
