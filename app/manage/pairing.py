"""A pairing code: all that an extension must be told, as one text to paste into its options."""

from __future__ import annotations

import json
from base64 import urlsafe_b64encode
from urllib.parse import urlsplit

import click

from app import network_settings
from app.config import Settings
from app.launch.health import local_authority, local_host, scheme

PREFIX = "imagefleet:"


def code(server: str, extension_id: str, token: str) -> str:
    """The text that the extension's `readPairing` takes apart again."""
    told = json.dumps({"server": server, "extensionId": extension_id, "token": token}, separators=(",", ":"))
    return PREFIX + urlsafe_b64encode(told.encode()).rstrip(b"=").decode()


def own_address(settings: Settings) -> str:
    """PUBLIC_URL where it is set, else how this machine reaches the service."""
    near = network_settings.is_loopback(local_host(settings))
    authority = f"localhost:{settings.port}" if near else local_authority(settings, settings.port)
    return settings.public_url or f"{scheme(settings)}://{authority}"


def address(_ctx: click.Context, _param: click.Parameter, said: str | None) -> str | None:
    """What --server says, checked."""
    parts = urlsplit(said or "http://localhost")
    if parts.scheme not in {"http", "https"} or not parts.hostname or parts.query or parts.fragment or parts.username:
        raise click.BadParameter("it must be an address such as https://images.example")
    return said and said.rstrip("/")
