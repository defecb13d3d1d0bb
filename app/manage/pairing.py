"""A pairing code: all settings of an extension as one text to paste into its options."""

import json
from base64 import urlsafe_b64encode
from urllib.parse import urlsplit

import click

from app import network_settings
from app.config import Settings
from app.launch.health import local_authority, local_host, scheme

PREFIX = "imagefleet:"


def code(server: str, extension_id: str, token: str) -> str:
    """The text that the extension's `readPairing` decodes."""
    settings = json.dumps({"server": server, "extensionId": extension_id, "token": token}, separators=(",", ":"))
    return PREFIX + urlsafe_b64encode(settings.encode()).rstrip(b"=").decode()


def own_address(settings: Settings) -> str:
    """PUBLIC_URL where it is set, else how this machine reaches the service."""
    loopback = network_settings.is_loopback(local_host(settings))
    authority = f"localhost:{settings.port}" if loopback else local_authority(settings, settings.port)
    return settings.public_url or f"{scheme(settings)}://{authority}"


def address(_ctx: click.Context, _param: click.Parameter, value: str | None) -> str | None:
    """Check --server."""
    parts = urlsplit(value or "http://localhost")
    if parts.scheme not in {"http", "https"} or not parts.hostname or parts.query or parts.fragment or parts.username:
        raise click.BadParameter("it must be an address such as https://images.example")
    return value and value.rstrip("/")
