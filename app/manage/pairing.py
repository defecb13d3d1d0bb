"""A pairing code: all settings of an extension as one text to paste into its options."""

import json
from base64 import urlsafe_b64encode
from urllib.parse import urlsplit

import click

from app.container import Services
from app.service_address import service_address

PREFIX = "imagefleet:"


def code(server: str, extension_id: str, token: str) -> str:
    """The text that the extension's `readPairing` decodes."""
    settings = json.dumps({"server": server, "extensionId": extension_id, "token": token}, separators=(",", ":"))
    return PREFIX + urlsafe_b64encode(settings.encode()).rstrip(b"=").decode()


def known_address(services: Services) -> str:
    """Where the running service is reached, or where it would be with the settings of this command.

    Raises click.UsageError if several web processes say different addresses.
    """
    found = services.fleet.addresses()
    if len(found) > 1:
        raise click.UsageError(f"The service is reached at {' and at '.join(found)}: choose one with --server.")
    if found:
        return found[0]
    assumed = service_address(services.settings)
    if services.settings.public_url is None:
        click.echo(f"The service is not running; its address is assumed to be {assumed}.", err=True)
    return assumed


def address(_ctx: click.Context, _param: click.Parameter, value: str | None) -> str | None:
    """Check --server."""
    parts = urlsplit(value or "http://localhost")
    if parts.scheme not in {"http", "https"} or not parts.hostname or parts.query or parts.fragment or parts.username:
        raise click.BadParameter("it must be an address such as https://images.example")
    return value and value.rstrip("/")
