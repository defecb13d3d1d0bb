"""What proxies say of those they speak for (X-Forwarded-*): believed of TRUSTED_PROXIES, and of nobody else."""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from app.network_settings import IPNetwork
from app.web.hosts import host_name

if TYPE_CHECKING:
    from _typeshed.wsgi import WSGIEnvironment

FORWARDED = "imagefleet.forwarded"
CLAIMS = ("FOR", "PROTO", "HOST", "PREFIX", "PORT", "SERVER", "SSL", "SCHEME")
LONGEST_CHAIN = 32
_PREFIX = re.compile(r"(?:/(?!\.{1,2}(?:/|$))[A-Za-z0-9._~-]+)+")
_PORT = re.compile(r":[0-9]{1,5}$")


class TrustedProxies:
    """From a trusted peer the address, scheme, host and prefix are those it names; whatever else claims to have been
    forwarded is taken away, so that nothing behind can believe it."""

    def __init__(self, networks: Sequence[IPNetwork]) -> None:
        self.networks = networks

    def follow(self, environ: WSGIEnvironment) -> None:
        """Change `environ` to what is to be believed of it."""
        said = _take(environ)
        environ[FORWARDED] = False
        if self.networks and self._trusts(environ.get("REMOTE_ADDR", "")):
            self._believe(environ, said)

    def _trusts(self, address: str) -> bool:
        try:
            parsed = _unmapped(address)
        except ValueError:
            return False
        return any(parsed in network for network in self.networks)

    def _believe(self, environ: WSGIEnvironment, said: dict[str, str]) -> None:
        environ["REMOTE_ADDR"], hops = self._client(environ["REMOTE_ADDR"], _items(said["FOR"]))
        if (scheme := _of_hop(said["PROTO"], hops).lower()) in {"http", "https"}:
            environ["wsgi.url_scheme"] = scheme
            environ[FORWARDED] = True
        host = _of_hop(said["HOST"], hops)
        if host and host_name(host) is not None:
            environ["HTTP_HOST"] = host
            environ[FORWARDED] = True
        prefix = _of_hop(said["PREFIX"], hops).rstrip("/")
        if _PREFIX.fullmatch(prefix):
            environ["SCRIPT_NAME"] = prefix

    def _client(self, peer: str, chain: list[str]) -> tuple[str, int]:
        """The nearest address that is no proxy of ours, and how many proxies stand before us.

        Each proxy appends whom it heard from, so the list is read from the right, as long as its teller is trusted.
        """
        client, hops = peer, 1
        for told in reversed(chain[-LONGEST_CHAIN:]):
            address = _address(told)
            if address is None:
                break
            client = address
            if not self._trusts(client):
                break
            hops += 1
        return client, hops


def _take(environ: WSGIEnvironment) -> dict[str, str]:
    environ.pop("HTTP_FORWARDED", None)
    environ.pop("HTTP_X_REAL_IP", None)
    return {claim: str(environ.pop(f"HTTP_X_FORWARDED_{claim}", "")) for claim in CLAIMS}


def _items(header: str) -> list[str]:
    return [item.strip() for item in header.split(",") if item.strip()]


def _of_hop(header: str, hops: int) -> str:
    """Of values that proxies appended, the one of the outermost trusted proxy; most replace what they are given."""
    items = _items(header)
    return items[-min(hops, len(items))] if items else ""


def _address(told: str) -> str | None:
    """An address as proxies write it, some with a port; None for what is none, such as `unknown`."""
    bare = told
    if told.startswith("["):
        bare = _PORT.sub("", told).strip("[]")
    elif told.count(":") == 1:
        bare = _PORT.sub("", told)
    try:
        return str(_unmapped(bare))
    except ValueError:
        return None


def _unmapped(text: str) -> Any:
    """The address; of an IPv4 address that came over an IPv6 socket, the IPv4 address. Raises ValueError."""
    address = ipaddress.ip_address(text)
    return getattr(address, "ipv4_mapped", None) or address
