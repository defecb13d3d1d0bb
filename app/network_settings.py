"""Settings of the network: allowed origins, trusted proxies, hosts that pictures may come from, TLS files."""

import ipaddress
import re
from dataclasses import dataclass
from pathlib import Path
from typing import Self
from urllib.parse import urlsplit

IPNetwork = ipaddress.IPv4Network | ipaddress.IPv6Network

ANY_EXTENSION = "chrome-extension://*"
_EXTENSION = re.compile(r"chrome-extension://[a-p]{32}")
# Scheme, host and port as browsers write them (RFC 6454, section 6.2): lower case, no path, no default port.
_WEB = re.compile(r"https?://(?:[a-z0-9_]([a-z0-9._-]*[a-z0-9_])?|\[[0-9a-f:.]+\])(?::[0-9]{1,5})?")
_DEFAULT_PORTS = {"http": 80, "https": 443}


@dataclass(frozen=True, slots=True)
class Origins:
    """Origins whose pages may use the service: each exactly, and all extensions of Chromium where `any_extension`."""

    exact: frozenset[str] = frozenset()
    any_extension: bool = True

    @classmethod
    def parse(cls, text: str) -> Self:
        """A comma list of origins; `chrome-extension://*` is every extension, `none` is no origin. Raises ValueError."""
        items = {item.strip() for item in text.split(",") if item.strip()}
        if items == {"none"}:
            return cls(any_extension=False)
        exact = items - {ANY_EXTENSION}
        if not items or not all(_is_origin(item) for item in exact):
            raise ValueError
        return cls(frozenset(exact), ANY_EXTENSION in items)

    def allow(self, origin: str) -> bool:
        """True for an `Origin` header that names one of these. `null` never does."""
        return origin in self.exact or (self.any_extension and _EXTENSION.fullmatch(origin) is not None)


@dataclass(frozen=True, slots=True)
class Allowlist:
    """Exceptions to the rule that images come from public addresses alone: host names and networks (CIDR)."""

    hosts: frozenset[str] = frozenset()
    networks: tuple[IPNetwork, ...] = ()

    @classmethod
    def parse(cls, text: str) -> Self:
        """A comma list of both. Raises ValueError."""
        hosts: set[str] = set()
        found: list[IPNetwork] = []
        for item in filter(None, (part.strip().lower() for part in text.split(","))):
            if re.fullmatch(r"[0-9a-f.:]+(/[0-9]+)?", item) and ("." in item or ":" in item):
                found.append(ipaddress.ip_network(item, strict=False))
            elif re.fullmatch(r"[a-z0-9]([a-z0-9.-]*[a-z0-9])?", item):
                hosts.add(item)
            else:
                raise ValueError
        return cls(frozenset(hosts), tuple(found))


@dataclass(frozen=True, slots=True)
class TlsFiles:
    """A certificate with its chain and its private key, both PEM."""

    certificate: Path
    key: Path


def is_loopback(host: str) -> bool:
    """True for a name or an address by which a machine reaches only itself."""
    try:
        return ipaddress.ip_address(host.strip("[]")).is_loopback
    except ValueError:
        return host.lower() == "localhost"


def is_local_only(host: str, public_url: str) -> bool:
    """True if HOST and PUBLIC_URL can be reached from this machine alone."""
    return is_loopback(host) and is_loopback(urlsplit(public_url).hostname or "localhost")


def same_place(url: str, other: str) -> bool:
    """True for two URLs of the same host, port and path; the schemes are not compared, since one may lead to the other."""
    parts, others = urlsplit(url), urlsplit(other)
    same_host = parts.hostname == others.hostname and parts.port == others.port
    return same_host and parts.path.rstrip("/") == others.path.rstrip("/")


def networks(text: str) -> tuple[IPNetwork, ...]:
    """A comma list of addresses and networks (CIDR). Raises ValueError."""
    return tuple(ipaddress.ip_network(item.strip(), strict=False) for item in text.split(",") if item.strip())


def _is_origin(text: str) -> bool:
    if _EXTENSION.fullmatch(text):
        return True
    if not _WEB.fullmatch(text):
        return False
    parts = urlsplit(text)
    return parts.port is None or (0 < parts.port < 65536 and parts.port != _DEFAULT_PORTS[parts.scheme])
