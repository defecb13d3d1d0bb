"""HTTP requests to the server, and their faults as errors of this library."""

from __future__ import annotations

import contextlib
import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from datetime import UTC
from email.utils import parsedate_to_datetime
from urllib.parse import urlencode

import urllib3
from urllib3.exceptions import HTTPError

from imagefleet.addresses import checked
from imagefleet.defaults import VERSION
from imagefleet.errors import BadAnswer, ImagefleetError, Refused
from imagefleet.faults import translated
from imagefleet.retrying import OnRetry, Retries
from imagefleet.wire import Fields, decode

CONNECT_S = 10.0
READ_S = 30.0
PATIENCE_S = 10.0
PIECE_BYTES = 65_536
IDEMPOTENCY_KEY = "Idempotency-Key"
# `Retries` decides about faults; urllib3 only follows redirects.
_REDIRECTS = urllib3.Retry(total=None, connect=0, read=0, status=0, other=0, redirect=5)


@dataclass(frozen=True, slots=True)
class Call:
    """An HTTP request. `read_s` is how many seconds may pass without a byte of the response."""

    method: str
    path: str
    query: Mapping[str, object] = field(default_factory=dict)
    headers: Mapping[str, str] = field(default_factory=dict)
    body: bytes | None = None
    read_s: float = READ_S

    @property
    def idempotent(self) -> bool:
        """True if sending it twice has the same effect as once."""
        return self.method != "POST" or IDEMPOTENCY_KEY in self.headers


class Transport:
    """Sends requests to the server at `base_url`. It pools connections and is thread-safe.

    `key` is sent to this server only.

    Raises ValueError if that is not an http or https address.
    """

    def __init__(self, base_url: str, key: str | None = None) -> None:
        self.base_url = checked(base_url)
        self._credentials = {"Authorization": f"Bearer {key}"} if key else {}
        self._pool = urllib3.PoolManager(maxsize=8)
        self._has_answered = False

    def close(self) -> None:
        """Close the pooled connections."""
        self._pool.clear()

    def url(self, path: str) -> str:
        """The full URL of a path of the API; a full URL is returned unchanged."""
        return path if path.startswith(("http://", "https://")) else f"{self.base_url}/{path.lstrip('/')}"

    def fetch(
        self,
        call: Call,
        *,
        patience_s: float = PATIENCE_S,
        refused_s: float | None = None,
        on_retry: OnRetry | None = None,
    ) -> Fields:
        """The JSON of a successful response. Faults are retried for `patience_s` seconds if that is safe.

        `refused_s` and `on_retry` are those of `Retries`.
        """
        retries = Retries(patience_s, idempotent=call.idempotent, refused_s=refused_s, on_retry=on_retry)
        while True:
            try:
                return self._fetch_once(call)
            except ImagefleetError as error:
                retries.wait_or_raise(error)

    @contextlib.contextmanager
    def open(self, call: Call) -> Iterator[urllib3.BaseHTTPResponse]:
        """A successful response whose body has not been read; read it with `pieces`."""
        with self._translate_errors():
            response = self._send(call, preload=False)
        try:
            if response.status >= 300:
                with self._translate_errors():
                    raise _refusal(response)
            yield response
        finally:
            response.close()

    def pieces(self, response: urllib3.BaseHTTPResponse) -> Iterator[bytes]:
        """The body, each piece as soon as it has arrived."""
        while True:
            with self._translate_errors():
                piece = response.read1(PIECE_BYTES)
            if not piece:
                return
            yield piece

    def _fetch_once(self, call: Call) -> Fields:
        with self._translate_errors():
            response = self._send(call, preload=True)
        if not 200 <= response.status < 300:
            raise _refusal(response)
        return decode(response.data)

    def _send(self, call: Call, *, preload: bool) -> urllib3.BaseHTTPResponse:
        query = {name: value for name, value in call.query.items() if value is not None}
        url = self.url(call.path)
        response = self._pool.request(
            call.method,
            url + (f"?{urlencode(query)}" if query else ""),
            body=call.body,
            headers={
                "Accept": "application/json",
                "User-Agent": f"imagefleet/{VERSION}",
                **self._authorization(url),
                **call.headers,
            },
            timeout=urllib3.Timeout(connect=CONNECT_S, read=call.read_s),
            retries=_REDIRECTS,
            preload_content=preload,
        )
        self._has_answered = True
        return response

    def _authorization(self, url: str) -> Mapping[str, str]:
        """The Authorization header, for our server only: upload URLs may point to another host."""
        return self._credentials if url.startswith(f"{self.base_url}/") else {}

    @contextlib.contextmanager
    def _translate_errors(self) -> Iterator[None]:
        """Turn faults of the connection into errors of this library."""
        try:
            yield
        except (HTTPError, OSError) as error:
            raise translated(error, self.base_url, is_new=not self._has_answered) from error


def _refusal(response: urllib3.BaseHTTPResponse) -> ImagefleetError:
    retry_after_s = _seconds(response.headers.get("Retry-After", ""))
    correlation_id = response.headers.get("X-Correlation-Id")
    try:
        fields = decode(response.data)
        detail = fields.optional_text("detail") or fields.optional_text("error") or fields.optional_text("title")
        return Refused(
            detail or f"The server answered with HTTP status {response.status}.",
            code=fields.optional_text("code"),
            status=response.status,
            correlation_id=fields.optional_text("correlation_id") or correlation_id,
            retry_after_s=retry_after_s,
        )
    except BadAnswer:
        return BadAnswer(
            f"HTTP status {response.status} came with a body that is not an Imagefleet response.",
            status=response.status,
            correlation_id=correlation_id,
            retry_after_s=retry_after_s,
        )


def _seconds(retry_after: str) -> float | None:
    """The header in seconds from now; it holds whole seconds or a date (UTC unless it says otherwise)."""
    if retry_after.isascii() and retry_after.isdigit():
        return float(retry_after)
    try:
        date = parsedate_to_datetime(retry_after)
        return max(0.0, (date if date.tzinfo else date.replace(tzinfo=UTC)).timestamp() - time.time())
    except (ValueError, TypeError, OverflowError):
        return None
