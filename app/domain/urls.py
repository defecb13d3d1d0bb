"""Strict parsing of http(s) URLs, done once, so that no two components can interpret a URL differently."""

import ipaddress
import re
from dataclasses import dataclass
from typing import Self
from urllib.parse import quote, urljoin, urlsplit

MAX_CHARS = 8_192
DEFAULT_PORTS = {"http": 80, "https": 443}

_AUTHORITY = re.compile(r"(?P<host>\[[^\[\]]*\]|[^:\[\]]*)(?::(?P<port>[0-9]{0,5}))?")
_NAME = re.compile(r"(?:[a-z0-9_](?:[a-z0-9_-]{0,61}[a-z0-9_])?\.)*[a-z0-9_](?:[a-z0-9_-]{0,61}[a-z0-9_])?")
_NUMBER = re.compile(r"[0-9]+|0x[0-9a-f]*")
# Printable characters stay unchanged, because hosts sign their URLs; only what is illegal in a request is encoded.
_UNCHANGED = "!#$%&'()*+,-./:;=?@[]^_`{|}~"


class BadUrl(ValueError):
    """The URL cannot be used; the text explains why without repeating the URL."""


@dataclass(frozen=True, slots=True)
class WebUrl:
    """`host` is a lower-case ASCII name or an address in canonical form, `target` is the path with the query."""

    scheme: str
    host: str
    port: int
    target: str

    @classmethod
    def parse(cls, text: str) -> Self:
        """Parse a URL. Raises BadUrl for anything but a plain http(s) URL without user information."""
        if len(text) > MAX_CHARS:
            raise BadUrl(f"the URL is longer than {MAX_CHARS} characters")
        if any(char <= " " or char == "\x7f" or "\ud800" <= char <= "\udfff" for char in text):
            raise BadUrl("the URL contains spaces or control characters")
        try:
            parts = urlsplit(text)
        except ValueError:
            raise BadUrl("the URL's host is invalid") from None
        if parts.scheme not in DEFAULT_PORTS:
            raise BadUrl("the URL must begin with http:// or https://")
        host, port = _authority(parts.netloc, DEFAULT_PORTS[parts.scheme])
        query = f"?{parts.query}" if parts.query else ""
        return cls(parts.scheme, host, port, quote((parts.path or "/") + query, safe=_UNCHANGED))

    def join(self, location: str) -> Self:
        """The target of a redirect to `location`, which may be relative. Raises BadUrl."""
        try:
            return self.parse(urljoin(str(self), quote(location, safe=_UNCHANGED)))
        except BadUrl:
            raise
        except ValueError:
            raise BadUrl("the URL's host is invalid") from None

    def __str__(self) -> str:
        host = f"[{self.host}]" if ":" in self.host else self.host
        port = "" if self.port == DEFAULT_PORTS[self.scheme] else f":{self.port}"
        return f"{self.scheme}://{host}{port}{self.target}"


def _authority(netloc: str, default_port: int) -> tuple[str, int]:
    if "@" in netloc:
        raise BadUrl("the URL must not carry a user name or password")
    found = _AUTHORITY.fullmatch(netloc)
    if found is None or not found["host"]:
        raise BadUrl("the URL must contain a host, and its port must be a number")
    port = int(found["port"] or default_port)
    if not 1 <= port <= 65535:
        raise BadUrl("the URL's port must be between 1 and 65535")
    return _host(found["host"]), port


def _host(text: str) -> str:
    if text.startswith("["):
        return _ipv6(text[1:-1])
    try:
        name = text.encode("idna").decode("ascii").lower().removesuffix(".")
    except UnicodeError:
        raise BadUrl("the URL's host is not a valid name") from None
    if len(name) > 253 or not _NAME.fullmatch(name):
        raise BadUrl("the URL's host is not a valid name")
    # Resolvers treat a name whose last label is a number as an address: 127.1, 0x7f000001, 2130706433, 0177.0.0.1.
    return _ipv4(name) if _NUMBER.fullmatch(name.rpartition(".")[2]) else name


def _ipv4(text: str) -> str:
    try:
        return str(ipaddress.IPv4Address(text))
    except ValueError:
        raise BadUrl("the URL must write an IPv4 address as four decimal numbers") from None


def _ipv6(text: str) -> str:
    try:
        address = ipaddress.IPv6Address(text)
    except ValueError:
        raise BadUrl("the URL's IPv6 address is invalid") from None
    if address.scope_id is not None:
        raise BadUrl("the URL's IPv6 address must not have a zone")
    return str(address)
