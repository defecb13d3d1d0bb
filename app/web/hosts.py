"""Which names in the Host header are accepted.

The name ends up in addresses that we answer with, so it must be a host name. If only this machine can reach the service,
it must be a name of this machine: a web page can point a name of its own at 127.0.0.1 (DNS rebinding), and its scripts
would then count as ours.
"""

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


class UnknownHost(Refusal):
    """This service is not known by this host name: set PUBLIC_URL to its address, or TRUSTED_PROXIES to the proxy's."""

    code = "ERR_UNKNOWN_HOST"
    status = 421


def install(app: Flask, settings: Settings) -> None:
    """Refuse every request whose Host header is not a name of this service (RFC 9112, section 3.2)."""
    public = urlsplit(settings.public_url or "").hostname
    local_only = is_loopback(settings.host) and not settings.trusted_proxies

    @app.before_request
    def _check_host() -> None:
        header = request.headers.get("Host")  # an empty one is refused, where `request.host` would fall back
        name = host_name(request.host if header is None else header)
        if name is None:
            raise InvalidRequest("The Host header is not a valid host name.")
        if local_only and name != public and not is_local(name):
            raise UnknownHost


def host_name(header: str) -> str | None:
    """The name in a Host header, in lower case and without the port; None if it is not a host name."""
    found = _HOST.fullmatch(header)
    return None if found is None else found["name"].lower().strip("[]").removesuffix(".")


@lru_cache(maxsize=256)
def is_local(name: str) -> bool:
    """True for names that no stranger can point at this machine: addresses, localhost, names without a dot."""
    if "." not in name or name.endswith(".localhost"):
        return True
    try:
        ipaddress.ip_address(name)
    except ValueError:
        return False
    return True
