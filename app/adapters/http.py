"""Fetches a file from an untrusted URL, with limits on time, size and the addresses to connect to."""

import ssl
import time
from collections.abc import Callable, Iterator
from contextlib import closing
from typing import BinaryIO

from requests import Response

from app.adapters.addresses import AddressRules, Resolver, system_resolver
from app.adapters.fetch_errors import (
    BadResponse,
    HostBusy,
    NoSuchPicture,
    RedirectRefused,
    TooLarge,
    UrlRefused,
)
from app.adapters.gzipped import BadGzip, unpack
from app.adapters.pinned_connection import Deadline
from app.adapters.pinned_session import PinnedSession
from app.adapters.retry_after import retry_after_ms
from app.domain.urls import BadUrl, WebUrl
from app.network_settings import Allowlist

MAX_REDIRECTS = 5
READ_BYTES = 65_536
MAX_RETRY_AFTER_MS = 3_600_000
# A CDN that has not caught up with a picture made a moment ago answers with one of these (RFC 9110, RFC 8470).
NOT_YET = (202, 403, 404, 425)
MAX_NOT_YET_MS = 30_000  # a picture that takes longer is not there
REDIRECTS = (301, 302, 303, 307, 308)
HEADERS = {
    "User-Agent": "Imagefleet",
    "Accept": "image/png, image/webp, image/jpeg",
    "Accept-Encoding": "identity",
    "Connection": "close",
}


class Fetcher:
    """Fetches over http(s), directly from allowed addresses; proxies of the environment are not used.

    `resolve`, `tls` and `now` (seconds since the epoch) replace the machine's resolver, trusted roots and clock in tests.
    """

    def __init__(
        self,
        allowlist: Allowlist,
        *,
        resolve: Resolver = system_resolver,
        tls: ssl.SSLContext | None = None,
        now: Callable[[], float] = time.time,
    ) -> None:
        self._rules = AddressRules(allowlist, resolve)
        self._tls = tls or ssl.create_default_context()
        self._now = now

    def fetch(self, url: str, *, into: BinaryIO, max_bytes: int, timeout_ms: int) -> None:
        """Write the file at `url` into the empty, readable `into`. After an error, the content of `into` is undefined.

        Raises FetchError, and whatever `into` raises.
        """
        with Deadline(timeout_ms) as deadline, PinnedSession(self._rules, self._tls, deadline) as session:
            current = _parsed(url)
            seen = {current}
            while True:
                with closing(session.open(current, HEADERS)) as response:
                    target = _redirect(response, current)
                    if target is None:
                        self._receive(response, current.host, into, max_bytes, deadline)
                        return
                _check_hop(current, target, seen)
                current = target

    def _receive(self, response: Response, host: str, into: BinaryIO, max_bytes: int, deadline: Deadline) -> None:
        self._check_status(response, host)
        _check_framing(response, host, max_bytes)
        size = 0
        for chunk in _chunks(response, host, deadline):
            size += len(chunk)
            _check_size(size, host, max_bytes)
            into.write(chunk)
        try:
            size = unpack(into, max_bytes)
        except BadGzip as error:
            raise BadResponse(f"{host} sent a compressed file that is damaged or cut off.") from error
        _check_size(size, host, max_bytes)
        if not size:
            raise BadResponse(f"{host} sent an empty file.")

    def _check_status(self, response: Response, host: str) -> None:
        status = response.status_code
        if status == 200:
            return
        wait_ms = retry_after_ms(response.headers.get("Retry-After", ""), self._now(), MAX_RETRY_AFTER_MS)
        if status in (408, 429) or 500 <= status <= 599:
            raise HostBusy(f"{host} answered {status}.", retry_after_ms=wait_ms)
        refusal = f"{host} answered {status} instead of 200."
        if status in NOT_YET:
            raise NoSuchPicture(refusal, retry_after_ms=min(wait_ms or 0, MAX_NOT_YET_MS))
        raise BadResponse(refusal)


def _parsed(url: str) -> WebUrl:
    try:
        return WebUrl.parse(url)
    except BadUrl as error:
        raise UrlRefused(f"This URL cannot be fetched: {error}.") from error


def _redirect(response: Response, current: WebUrl) -> WebUrl | None:
    """The URL that the response redirects to; None if it is not a redirect."""
    if response.status_code not in REDIRECTS:
        return None
    location = response.headers.get("Location", "")
    if not location:
        raise RedirectRefused(f"{current.host} redirects without a Location.")
    try:
        return current.join(_as_utf8(location))
    except BadUrl as error:
        raise RedirectRefused(f"{current.host} redirects to a URL that cannot be fetched: {error}.") from error


def _check_hop(current: WebUrl, target: WebUrl, seen: set[WebUrl]) -> None:
    """Record one more redirect. Raises RedirectRefused if it must not be followed; connecting checks its address."""
    if target in seen:
        raise RedirectRefused(f"{current.host} redirects in a loop.")
    if len(seen) > MAX_REDIRECTS:
        raise RedirectRefused(f"{current.host} redirects more than {MAX_REDIRECTS} times.")
    if current.scheme == "https" and target.scheme == "http":
        raise RedirectRefused(f"{current.host} redirects from https to http.")
    seen.add(target)


def _check_framing(response: Response, host: str, max_bytes: int) -> None:
    """Refuse a body whose length is ambiguous. Chunked overrides Content-Length (RFC 9112, section 6.3)."""
    headers = response.raw.headers  # of urllib3, which keeps repeated headers separate
    transfer = {value.strip().lower() for value in headers.getlist("Transfer-Encoding")}
    if transfer == {"chunked"}:
        return
    if transfer - {"", "identity"}:
        raise BadResponse(f"{host} sent its response in a transfer encoding other than chunked.")
    # proxies join repeated headers to one (RFC 9110, section 8.6)
    lengths = {part.strip() for value in headers.getlist("Content-Length") for part in value.split(",")}
    if len(lengths) > 1 or any(not _is_length(length) for length in lengths):
        raise BadResponse(f"{host} sent contradictory lengths of its response.")
    for length in lengths:
        _check_size(int(length), host, max_bytes)


def _check_size(size: int, host: str, max_bytes: int) -> None:
    if size > max_bytes:
        raise TooLarge(f"{host} sends more than the allowed {max_bytes} bytes.")


def _chunks(response: Response, host: str, deadline: Deadline) -> Iterator[bytes]:
    """Yield the body as it arrives. `read` would wait for a full chunk, however slowly it arrives."""
    while True:
        with deadline.translate_errors(host):
            chunk: bytes = response.raw.read1(READ_BYTES, decode_content=False)
        deadline.left_s()  # a body without a length ends with the connection, which the deadline may have closed
        if not chunk:
            return
        yield chunk


def _is_length(text: str) -> bool:
    return text.isascii() and text.isdigit() and len(text) <= 18


def _as_utf8(header: str) -> str:
    """Headers are decoded as Latin-1; hosts that do not percent-encode their URLs mean UTF-8."""
    try:
        return header.encode("latin-1").decode("utf-8")
    except UnicodeError:
        return header
