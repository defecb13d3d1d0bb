"""What both transports know about the server: its address, the key, and how a call becomes an HTTP request."""

from __future__ import annotations

import os
import ssl
from collections.abc import Mapping
from functools import cache
from typing import Any

import httpx2

from imagefleet.addresses import checked
from imagefleet.calls.base import Call
from imagefleet.defaults import VERSION
from imagefleet.errors import BadAnswer, ImagefleetError
from imagefleet.faults import translated

CONNECT_S = 10.0
WRITE_S = 60.0
# What the standard library raises below httpx2, such as for a host name that cannot be encoded.
FAULTS = (httpx2.HTTPError, httpx2.InvalidURL, OSError, UnicodeError)
# A proxy of the environment does not lead to this machine: without a transport of its own, each goes there directly.
DIRECT: Mapping[str, None] = dict.fromkeys(("all://localhost", "all://127.0.0.1", "all://[::1]"))
# Threads and tasks share a client: none of them has to wait for the streams of the others.
LIMITS = httpx2.Limits(max_connections=None, max_keepalive_connections=20, keepalive_expiry=5.0)


def tls_context() -> ssl.SSLContext:
    """Which authorities are trusted: loading them takes a tenth of a second, so that clients share it."""
    return _tls_context(os.environ.get("SSL_CERT_FILE"), os.environ.get("SSL_CERT_DIR"))


@cache
def _tls_context(_file: str | None, _folder: str | None) -> ssl.SSLContext:
    return httpx2.create_ssl_context()


class Server:
    """The server at `base_url`. `key` is sent to it only.

    Raises ValueError if that is not an http or https address, or if the key cannot be in a header.
    """

    def __init__(self, base_url: str, key: str | None = None) -> None:
        self.base_url = checked(base_url)
        if key is not None and not (key.isascii() and key.isprintable()):
            raise ValueError("The key contains characters that no key has.")
        self._origin = httpx2.URL(self.base_url).origin
        self._credentials = {"Authorization": f"Bearer {key}"} if key else {}
        self.has_answered = False

    def url(self, path: str) -> str:
        """The full URL of a path of the API; a full URL is returned unchanged."""
        return path if path.startswith(("http://", "https://")) else f"{self.base_url}/{path.lstrip('/')}"

    def request_of(self, call: Call[Any], *, as_file: bool = False) -> dict[str, Any]:
        """The arguments of `build_request`. Raises BadAnswer for a URL of the server's that cannot be used."""
        query = {name: _text(value) for name, value in call.query.items() if value is not None}
        try:
            url = httpx2.URL(self.url(call.path))
        except httpx2.InvalidURL as error:
            raise BadAnswer(f"The server sent a URL that cannot be used: {error}.") from None
        return {
            "method": call.method,
            "url": url.copy_merge_params(query) if query else url,
            "content": call.body,
            "headers": {
                "Accept": "application/json",
                "User-Agent": f"imagefleet/{VERSION}",
                **({"Accept-Encoding": "identity"} if as_file else {}),
                **self._authorization(url),
                **call.headers,
            },
            "timeout": httpx2.Timeout(connect=CONNECT_S, read=call.read_s, write=WRITE_S, pool=None),
        }

    def error(self, fault: Exception) -> ImagefleetError:
        """What a fault of the connection means."""
        return translated(fault, self.base_url, is_new=not self.has_answered)

    def _authorization(self, url: httpx2.URL) -> Mapping[str, str]:
        """The Authorization header, for our server only: upload URLs may point to another host."""
        return self._credentials if url.origin == self._origin else {}


def _text(value: object) -> str:
    return str(value).lower() if isinstance(value, bool) else str(value)
