"""Sends JSON to the addresses of webhooks, which users give: checked and pinned at each attempt, as those of pictures are."""

import ssl
import time
from collections.abc import Callable, Mapping
from contextlib import closing
from ipaddress import ip_address

from requests import Response

from app.adapters.addresses import AddressRules, Resolver, system_resolver
from app.adapters.fetch_errors import FetchError, UrlRefused
from app.adapters.pinned_connection import Deadline
from app.adapters.pinned_session import PinnedSession
from app.adapters.retry_after import retry_after_ms
from app.domain.urls import BadUrl, WebUrl
from app.domain.webhooks import ANSWER_BYTES, MAX_RETRY_AFTER_MS, Answer
from app.network_settings import Allowlist

CHECK_S = 2.0
HEADERS = {
    "User-Agent": "Imagefleet",
    "Content-Type": "application/json",
    "Accept-Encoding": "identity",
    "Connection": "close",
}


class Poster:
    """Sends over http(s), directly to allowed addresses, and follows no redirects.

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

    def check(self, url: str) -> None:
        """Raises FetchError for an address that is written out and not allowed. Names are looked up when something is sent."""
        target = _parsed(url)
        if _is_written_out(target.host):
            self._rules.admit(target.host, target.port, CHECK_S)

    def post(self, url: str, body: bytes, headers: Mapping[str, str], timeout_ms: int) -> Answer:
        """Send the body and return the answer. Raises FetchError if there is none within the time."""
        target = _parsed(url)
        with (
            Deadline(timeout_ms, "did not answer") as deadline,
            PinnedSession(self._rules, self._tls, deadline) as session,
            closing(session.submit(target, {**HEADERS, **headers}, body)) as response,
        ):
            wait_ms = retry_after_ms(response.headers.get("Retry-After", ""), self._now(), MAX_RETRY_AFTER_MS)
            return Answer(response.status_code, _beginning(response, target.host, deadline), wait_ms)


def _parsed(url: str) -> WebUrl:
    try:
        return WebUrl.parse(url)
    except BadUrl as error:
        raise UrlRefused(f"Nothing can be sent to this URL: {error}.") from error


def _is_written_out(host: str) -> bool:
    """True for an address, and for the name that stands for this machine."""
    try:
        ip_address(host)
    except ValueError:
        return host == "localhost" or host.endswith(".localhost")
    return True


def _beginning(response: Response, host: str, deadline: Deadline) -> bytes:
    """The first bytes of the body. The status has been received, so what goes wrong here does not matter any more."""
    body = b""
    try:
        while len(body) < ANSWER_BYTES:
            with deadline.translate_errors(host):
                chunk: bytes = response.raw.read1(ANSWER_BYTES - len(body), decode_content=False)
            if not chunk:
                break
            body += chunk
    except FetchError:
        pass
    return body
