"""Fetching a file from an untrusted URL: bounded in time, in bytes and in the addresses it may connect to."""

from __future__ import annotations

import ssl
import time
from collections.abc import Callable, Iterator
from contextlib import closing
from dataclasses import dataclass
from email.utils import parsedate_to_datetime
from typing import BinaryIO

from requests import Response

from app.adapters.addresses import AddressRules, Resolver, system_resolver
from app.adapters.fetch_errors import BadAnswer, FetchError, HostBusy, RedirectRefused, TooLarge, UrlRefused
from app.adapters.pinned_connection import Deadline
from app.adapters.pinned_session import PinnedSession
from app.domain.urls import BadUrl, WebUrl
from app.network_settings import Allowlist

MAX_REDIRECTS = 5
PIECE_BYTES = 65_536
MAX_RETRY_AFTER_MS = 3_600_000
REDIRECTS = (301, 302, 303, 307, 308)
HEADERS = {
    "User-Agent": "Imagefleet",
    "Accept": "image/png, image/webp, image/jpeg",
    "Accept-Encoding": "identity",
    "Connection": "close",
}


@dataclass(frozen=True, slots=True)
class Fetched:
    """`content_type` is what the host claims, and not to be trusted. `size` in bytes."""

    final_url: str
    content_type: str
    size: int


class Fetcher:
    """Fetches over http(s), straight from admitted addresses; proxies named in the environment are not used.

    `resolve`, `tls` and `now` (seconds since the epoch) stand for the machine's resolver, trusted roots and clock.
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

    def fetch(self, url: str, *, into: BinaryIO, max_bytes: int, timeout_ms: int) -> Fetched:
        """Write the file at `url` into `into`. After an error, its content is worthless.

        Raises FetchError; what `into` raises passes through.
        """
        with Deadline(timeout_ms) as deadline, PinnedSession(self._rules, self._tls, deadline) as session:
            current = _parsed(url)
            seen = {current}
            while True:
                with closing(session.open("GET", current, HEADERS)) as response:
                    target = _redirect(response, current)
                    if target is None:
                        return self._receive(response, current, into, max_bytes, deadline)
                _check_hop(current, target, seen)
                current = target

    def _receive(self, response: Response, url: WebUrl, into: BinaryIO, max_bytes: int, deadline: Deadline) -> Fetched:
        self._check_status(response, url.host)
        _check_framing(response, url.host, max_bytes)
        size = 0
        for piece in _pieces(response, url.host, deadline):
            size += len(piece)
            if size > max_bytes:
                raise _too_large(url.host, max_bytes)
            into.write(piece)
        if not size:
            raise BadAnswer(f"{url.host} sent an empty file.")
        return Fetched(str(url), response.headers.get("Content-Type", "")[:200], size)

    def _check_status(self, response: Response, host: str) -> None:
        status = response.status_code
        if status in (408, 429) or 500 <= status <= 599:
            wait = _retry_after_ms(response.headers.get("Retry-After", ""), self._now())
            raise HostBusy(f"{host} answered {status}.", retry_after_ms=wait)
        if status != 200:
            raise BadAnswer(f"{host} answered {status} where only 200 carries a file.")


def _parsed(url: str) -> WebUrl:
    try:
        return WebUrl.parse(url)
    except BadUrl as error:
        raise UrlRefused(f"Nothing can be fetched: {error}.") from error


def _redirect(response: Response, current: WebUrl) -> WebUrl | None:
    """The URL that the response redirects to; None where it is no redirect."""
    if response.status_code not in REDIRECTS:
        return None
    location = response.headers.get("Location", "")
    if not location:
        raise RedirectRefused(f"{current.host} redirects to nowhere.")
    try:
        return current.join(_as_utf8(location))
    except BadUrl as error:
        raise RedirectRefused(f"{current.host} redirects to where nothing can be fetched: {error}.") from error


def _check_hop(current: WebUrl, target: WebUrl, seen: set[WebUrl]) -> None:
    """Record one more hop. Raises RedirectRefused where it must not be followed; its address is checked on connecting."""
    if target in seen:
        raise RedirectRefused(f"{current.host} redirects in a circle.")
    if len(seen) > MAX_REDIRECTS:
        raise RedirectRefused(f"{current.host} redirects more than {MAX_REDIRECTS} times.")
    if current.scheme == "https" and target.scheme == "http":
        raise RedirectRefused(f"{current.host} redirects from https to http.")
    seen.add(target)


def _check_framing(response: Response, host: str, max_bytes: int) -> None:
    """Refuse a body whose length is ambiguous, and one that would have to be decompressed first."""
    headers = response.raw.headers  # urllib3's, which keep repeated headers apart
    encodings = headers.getlist("Content-Encoding")
    if any(encoding.strip().lower() not in ("", "identity") for encoding in encodings):
        raise BadAnswer(f"{host} sent a compressed answer though none was asked for.")
    transfer = [value.strip().lower() for value in headers.getlist("Transfer-Encoding")]
    if transfer not in ([], ["chunked"]):
        raise BadAnswer(f"{host} sent its answer in a transfer encoding other than chunked.")
    lengths = set(headers.getlist("Content-Length"))
    if len(lengths) > 1 or any(not _is_length(length) for length in lengths) or (lengths and transfer):
        raise BadAnswer(f"{host} contradicts itself about the length of its answer.")
    if any(int(length) > max_bytes for length in lengths):
        raise _too_large(host, max_bytes)


def _pieces(response: Response, host: str, deadline: Deadline) -> Iterator[bytes]:
    """The body in pieces as they arrive: read() would wait for a full piece, however slowly it comes."""
    while True:
        with deadline.faults(host):
            piece: bytes = response.raw.read1(PIECE_BYTES, decode_content=False)
        deadline.left_s()  # a body without a length ends where the connection does: ours must not have ended it
        if not piece:
            return
        yield piece


def _too_large(host: str, max_bytes: int) -> FetchError:
    return TooLarge(f"{host} sends more than the {max_bytes} bytes that are allowed.")


def _is_length(text: str) -> bool:
    return text.isascii() and text.isdigit() and len(text) <= 18


def _retry_after_ms(text: str, now: float) -> int | None:
    """The header as a wait in ms, an hour at most; it holds whole seconds or a date."""
    if text.isascii() and text.isdigit():
        return min(int(text[:9]) * 1000, MAX_RETRY_AFTER_MS)
    try:
        wait = parsedate_to_datetime(text).timestamp() - now
    except (ValueError, TypeError, OverflowError):
        return None
    return min(max(0, round(wait * 1000)), MAX_RETRY_AFTER_MS)


def _as_utf8(header: str) -> str:
    """Headers arrive as Latin-1; hosts that do not encode their addresses mean UTF-8."""
    try:
        return header.encode("latin-1").decode("utf-8")
    except UnicodeError:
        return header
