"""The way to the server: its name, its port, its TLS."""

from __future__ import annotations

import contextlib
import os
import socket
import ssl
import time
from collections.abc import Callable, Iterator
from typing import Any, cast
from urllib.parse import SplitResult, urlsplit
from urllib.request import getproxies, proxy_bypass

import httpx2

from imagefleet.doctor.findings import Broken
from imagefleet.errors import UnknownHost
from imagefleet.faults import translated

CONNECT_S = 5.0
DAY_S = 86_400
SOON_DAYS = 14  # a certificate that expires sooner is remarked upon
CHANGE = "Correct the address: --server, IMAGEFLEET_URL or `imagefleet login`"


def proxy_of(address: str) -> str | None:
    """The proxy that the environment names for this server; None if it is reached directly."""
    parts, proxies = urlsplit(address), getproxies()
    if proxy_bypass(parts.netloc):
        return None
    return proxies.get(parts.scheme) or proxies.get("all")


def check_address(address: str) -> str:
    """Something accepts connections there."""
    proxy = proxy_of(address)
    if proxy is not None:
        return f"{address} is reached by the proxy {urlsplit(proxy).hostname or proxy}"
    started = time.monotonic()
    with _connected(address) as (_, found):
        took_ms = (time.monotonic() - started) * 1000
        return f"{address} accepts connections ({found}, {took_ms:.0f} ms)"


def check_tls(address: str, answers: Callable[[], bool]) -> str:
    """The certificate is accepted; an http address does not need one. `answers` is whether an HTTP request is answered."""
    if urlsplit(address).scheme == "http":
        return _check_plain(address, answers)
    if proxy_of(address) is not None:
        return "the proxy passes it on"
    with _connected(address) as (connection, _):
        try:
            context = httpx2.create_ssl_context()
            with context.wrap_socket(connection, server_hostname=_parts(address).hostname) as secured:
                return f"{secured.version()}, its certificate is accepted{_expiry(secured)}"
        except OSError as error:
            said = translated(error, address, is_new=True).detail
            remedy = f"{CHANGE}, or have the operator renew the certificate."
            raise Broken("TLS_FAILED", said, remedy) from None


def _check_plain(address: str, answers: Callable[[], bool]) -> str:
    """A server behind an http address may expect TLS: then it does not answer."""
    host = _parts(address).hostname or ""
    if not answers() and proxy_of(address) is None and _speaks_tls(address):
        remedy = f"{CHANGE}, so that it begins with https://."
        raise Broken("TLS_EXPECTED", f"{address} expects TLS", remedy)
    is_local = host == "localhost" or host.startswith("127.") or host == "::1"
    return "not used" if is_local else "not used: on the way, others can read keys and pictures"


def _speaks_tls(address: str) -> bool:
    context = httpx2.create_ssl_context(verify=False)
    with (
        contextlib.suppress(OSError),
        _connected(address) as (connection, _),
        context.wrap_socket(connection, server_hostname=_parts(address).hostname),
    ):
        return True
    return False


@contextlib.contextmanager
def _connected(address: str) -> Iterator[tuple[socket.socket, str]]:
    """A connection to the server, and the address that its name has. Raises Broken."""
    parts = _parts(address)
    where = parts.hostname or "", parts.port or (443 if parts.scheme == "https" else 80)
    try:
        connection = socket.create_connection(where, CONNECT_S)
    except (OSError, UnicodeError) as error:
        raise _unreachable(address, where, error) from None
    with connection:
        found = connection.getpeername()[0]
        yield connection, found


def _unreachable(address: str, where: tuple[str, int], error: Exception) -> Broken:
    if isinstance(error, socket.gaierror | UnicodeError):
        said = translated(error, address, is_new=True)
        assert isinstance(said, UnknownHost)
        return Broken("UNKNOWN_HOST", said.detail, f"{CHANGE}, or this machine's network.")
    if isinstance(error, ConnectionRefusedError):
        detail = f"nothing listens at port {where[1]} of {where[0]}"
        return Broken("CONNECTION_REFUSED", detail, f"Start the server. {CHANGE} if it is elsewhere.")
    if isinstance(error, TimeoutError):
        detail = f"port {where[1]} of {where[0]} does not answer within {CONNECT_S:g} s"
        return Broken("CONNECT_TIMEOUT", detail, "Look whether the server runs, and for a firewall on the way.")
    why = os.strerror(error.errno or 0) if isinstance(error, OSError) else str(error)
    detail = f"{where[0]} cannot be reached ({why.lower()})"
    return Broken("UNREACHABLE", detail, f"Look at this machine's network. {CHANGE} if it is elsewhere.")


def _expiry(secured: ssl.SSLSocket) -> str:
    ends = cast("dict[str, Any]", secured.getpeercert() or {}).get("notAfter")
    if not isinstance(ends, str):
        return ""
    days = (ssl.cert_time_to_seconds(ends) - time.time()) / DAY_S
    return f", but expires in {days:.0f} days" if days < SOON_DAYS else f" until {ends}"


def _parts(address: str) -> SplitResult:
    return urlsplit(address)
