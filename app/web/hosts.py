"""The name that a client calls us by ends up in addresses, so it must be a name, and where only this machine can reach
us it must be one of this machine: a page elsewhere can have its own name point here (DNS rebinding), and would then
count as one of our own."""

from __future__ import annotations

import ipaddress
import re
from functools import lru_cache
from urllib.parse import urlsplit

from flask import Flask, request

from app.config import Settings
from app.domain.errors import InvalidRequest, Refusal
from app.network_settings import is_loopback

_HOST = re.compile(
    r"(?P<name>[A-Za-z0-9_](?:[A-Za-z0-9._-]{0,251}[A-Za-z0-9_.])?|\[[0-9A-Fa-f:.]{2,45}\])(?::[0-9]{1,5})?"
)
NAMES = 256  # a service has a few; strangers may send any


class UnknownHost(Refusal):
    """This service is not known by that name: set PUBLIC_URL to its address, or TRUSTED_PROXIES to the proxy's."""

    code = "ERR_UNKNOWN_HOST"
    status = 421


class Hosts:
    """The names that this service goes by."""

    def __init__(self, settings: Settings) -> None:
        self._public = (urlsplit(settings.public_url or "").hostname or "").lower()
        self._near = is_loopback(settings.host) and not settings.trusted_proxies

    def check(self, header: str) -> None:
        """Raises InvalidRequest, UnknownHost where a Host header is no name of ours (RFC 9112, section 3.2)."""
        name = host_name(header)
        if name is None:
            raise InvalidRequest("The Host header is not the name of a host.")
        if self._near and name != self._public and not is_near(name):
            raise UnknownHost


def install(app: Flask, hosts: Hosts) -> None:
    """Refuse every request that calls us by what is no name of ours."""

    @app.before_request
    def _check_host() -> None:
        header = request.environ.get("HTTP_HOST")
        hosts.check(request.host if header is None else header)


@lru_cache(NAMES)
def host_name(header: str) -> str | None:
    """The name in a Host header, in lower case and without the port; None where it is none."""
    found = _HOST.fullmatch(header)
    return None if found is None else found["name"].lower().strip("[]").removesuffix(".")


@lru_cache(NAMES)
def is_near(name: str) -> bool:
    """True for names that nobody else can have point here: addresses, localhost, names without a dot."""
    if "." not in name or name.endswith(".localhost"):
        return True
    try:
        ipaddress.ip_address(name)
    except ValueError:
        return False
    return True
