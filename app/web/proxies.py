"""X-Forwarded-* headers: honoured if they come from TRUSTED_PROXIES, removed otherwise."""

import ipaddress
import re
from collections.abc import Iterable, Sequence
from typing import Any
from wsgiref.types import StartResponse, WSGIApplication, WSGIEnvironment

from app.network_settings import IPNetwork
from app.web.hosts import host_name

FORWARDED = "imagefleet.forwarded"  # True in an environ whose scheme or host a trusted proxy has set
CLAIMS = ("FOR", "PROTO", "HOST", "PREFIX", "PORT", "SERVER", "SSL", "SCHEME")
LONGEST_CHAIN = 32
_PREFIX = re.compile(r"(?:/(?!\.{1,2}(?:/|$))[A-Za-z0-9._~-]+)+")
_PORT = re.compile(r":[0-9]{1,5}$")


class TrustedProxies:
    """WSGI middleware. Behind a trusted proxy, the application sees the address, scheme, host and prefix that it names.

    werkzeug's ProxyFix trusts a number of hops; this one trusts networks, so that a request which did not pass through a
    proxy cannot claim anything.
    """

    def __init__(self, application: WSGIApplication, networks: Sequence[IPNetwork]) -> None:
        self.application = application
        self.networks = networks

    def __call__(self, environ: WSGIEnvironment, start_response: StartResponse) -> Iterable[bytes]:
        """Serve the request with what is known about it."""
        claims = _remove_claims(environ)
        environ[FORWARDED] = False
        if self._trusts(environ.get("REMOTE_ADDR", "")):
            self._apply(environ, claims)
        return self.application(environ, start_response)

    def _trusts(self, address: str) -> bool:
        if not self.networks:
            return False
        try:
            parsed = _unmapped(address)
        except ValueError:
            return False
        return any(parsed in network for network in self.networks)

    def _apply(self, environ: WSGIEnvironment, claims: dict[str, str]) -> None:
        environ["REMOTE_ADDR"], hops = self._client(environ["REMOTE_ADDR"], _items(claims["FOR"]))
        if (scheme := _of_hop(claims["PROTO"], hops).lower()) in {"http", "https"}:
            environ["wsgi.url_scheme"] = scheme
            environ[FORWARDED] = True
        host = _of_hop(claims["HOST"], hops)
        if host and host_name(host) is not None:
            environ["HTTP_HOST"] = host
            environ[FORWARDED] = True
        prefix = _of_hop(claims["PREFIX"], hops).rstrip("/")
        if _PREFIX.fullmatch(prefix):
            environ["SCRIPT_NAME"] = prefix

    def _client(self, peer: str, chain: list[str]) -> tuple[str, int]:
        """The nearest address that is not one of our proxies, and how many proxies stand before us.

        Each proxy appends the address of its peer, so the list is read from the right, for as long as the proxy that
        wrote the entry is trusted.
        """
        client, hops = peer, 1
        for entry in reversed(chain[-LONGEST_CHAIN:]):
            address = _address(entry)
            if address is None:
                break
            client = address
            if not self._trusts(client):
                break
            hops += 1
        return client, hops


def _remove_claims(environ: WSGIEnvironment) -> dict[str, str]:
    environ.pop("HTTP_FORWARDED", None)
    environ.pop("HTTP_X_REAL_IP", None)
    return {claim: str(environ.pop(f"HTTP_X_FORWARDED_{claim}", "")) for claim in CLAIMS}


def _items(header: str) -> list[str]:
    return [item.strip() for item in header.split(",") if item.strip()]


def _of_hop(header: str, hops: int) -> str:
    """Of the values that proxies appended, that of the outermost trusted proxy; most proxies replace the header instead."""
    items = _items(header)
    return items[-min(hops, len(items))] if items else ""


def _address(entry: str) -> str | None:
    """An entry of X-Forwarded-For without its port; None if it is not an address, such as `unknown`."""
    bare = entry
    if entry.startswith("["):
        bare = _PORT.sub("", entry).strip("[]")
    elif entry.count(":") == 1:
        bare = _PORT.sub("", entry)
    try:
        return str(_unmapped(bare))
    except ValueError:
        return None


def _unmapped(text: str) -> Any:
    """The address; the IPv4 address inside an IPv4-mapped IPv6 one. Raises ValueError."""
    address = ipaddress.ip_address(text)
    return getattr(address, "ipv4_mapped", None) or address
