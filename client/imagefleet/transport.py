"""One HTTP exchange with the server, and what its faults mean."""

from __future__ import annotations

import contextlib
import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from email.utils import parsedate_to_datetime
from urllib.parse import urlencode, urlsplit

import urllib3
from urllib3.exceptions import (
    ConnectTimeoutError,
    HTTPError,
    LocationParseError,
    MaxRetryError,
    NewConnectionError,
    ProxyError,
    ResponseError,
    SSLError,
)

from imagefleet.defaults import VERSION
from imagefleet.endurance import Endurance
from imagefleet.errors import BadAnswer, ConnectionLost, ImagefleetError, Refused, Unreachable
from imagefleet.wire import Fields, decode

CONNECT_S = 10.0
READ_S = 30.0
PATIENCE_S = 10.0
PIECE_BYTES = 65_536
# Faults are ours to judge; only redirects are followed below us.
_REDIRECTS = urllib3.Retry(total=None, connect=0, read=0, status=0, other=0, redirect=5)
_NOT_SENT = (NewConnectionError, ConnectTimeoutError, SSLError, ProxyError, LocationParseError)


@dataclass(frozen=True, slots=True)
class Call:
    """What to ask. `read_s` is how many seconds may pass without a byte of the answer."""

    method: str
    path: str
    query: Mapping[str, object] = field(default_factory=dict)
    headers: Mapping[str, str] = field(default_factory=dict)
    body: bytes | None = None
    read_s: float = READ_S

    @property
    def idempotent(self) -> bool:
        """True where asking twice is as good as once."""
        return self.method != "POST"


class Transport:
    """Exchanges with the server at `base_url`; connections are kept and may be used by several threads.

    `key` says who asks, and is shown to this server alone.

    Raises ValueError where the address is not one of http or https.
    """

    def __init__(self, base_url: str, key: str | None = None) -> None:
        parts = urlsplit(base_url)
        if parts.scheme not in ("http", "https") or not parts.hostname or parts.port == 0:
            raise ValueError(f"{base_url!r} is not an address like http://localhost:3000")
        self.base_url = base_url.rstrip("/")
        self._shown = {"Authorization": f"Bearer {key}"} if key else {}
        self._pool = urllib3.PoolManager(maxsize=8)

    def close(self) -> None:
        """Close the connections that are kept."""
        self._pool.clear()

    def url(self, path: str) -> str:
        """The full URL of a path of the API; a full URL stays what it is."""
        return path if path.startswith(("http://", "https://")) else f"{self.base_url}/{path.lstrip('/')}"

    def ask(self, call: Call, *, patience_s: float = PATIENCE_S) -> Fields:
        """The JSON of a good answer. Faults are borne for `patience_s` seconds where asking again is safe."""
        endurance = Endurance(patience_s, idempotent=call.idempotent)
        while True:
            try:
                return self._ask_once(call)
            except ImagefleetError as error:
                endurance.bear(error)

    @contextlib.contextmanager
    def open(self, call: Call) -> Iterator[urllib3.BaseHTTPResponse]:
        """A good answer whose body has not been read; read it with `pieces`."""
        with self._faults():
            response = self._send(call, preload=False)
        try:
            if response.status >= 300:
                with self._faults():
                    raise _refusal(response)
            yield response
        finally:
            response.close()

    def pieces(self, response: urllib3.BaseHTTPResponse) -> Iterator[bytes]:
        """The body, each piece as soon as it has arrived."""
        while True:
            with self._faults():
                piece = response.read1(PIECE_BYTES)
            if not piece:
                return
            yield piece

    def _ask_once(self, call: Call) -> Fields:
        with self._faults():
            response = self._send(call, preload=True)
        if not 200 <= response.status < 300:
            raise _refusal(response)
        return decode(response.data)

    def _send(self, call: Call, *, preload: bool) -> urllib3.BaseHTTPResponse:
        query = {name: value for name, value in call.query.items() if value is not None}
        url = self.url(call.path)
        return self._pool.request(
            call.method,
            url + (f"?{urlencode(query)}" if query else ""),
            body=call.body,
            headers={
                "Accept": "application/json",
                "User-Agent": f"imagefleet/{VERSION}",
                **self._showing(url),
                **call.headers,
            },
            timeout=urllib3.Timeout(connect=CONNECT_S, read=call.read_s),
            retries=_REDIRECTS,
            preload_content=preload,
        )

    def _showing(self, url: str) -> Mapping[str, str]:
        """Who asks, where it is our server that is asked: pictures may be told to lie elsewhere."""
        return self._shown if url.startswith(f"{self.base_url}/") else {}

    @contextlib.contextmanager
    def _faults(self) -> Iterator[None]:
        """Faults of the connection as errors of this library."""
        try:
            yield
        except (HTTPError, OSError) as error:
            raise self._meaning(error) from error

    def _meaning(self, error: Exception) -> ImagefleetError:
        cause = error.reason if isinstance(error, MaxRetryError) and error.reason else error
        if isinstance(cause, _NOT_SENT):
            return Unreachable(f"Cannot connect to {self.base_url}: {_why(cause)}.")
        if isinstance(cause, ResponseError):
            return BadAnswer(f"{self.base_url} redirects without end.")
        return ConnectionLost(f"The connection to {self.base_url} broke before the answer was there: {_why(cause)}.")


def _why(error: Exception) -> str:
    """The innermost reason in the fewest words; the wrappers around it repeat addresses and object names."""
    inner: BaseException = error
    while inner.__cause__ is not None:
        inner = inner.__cause__
    words = (isinstance(inner, OSError) and inner.strerror) or str(inner) or type(inner).__name__
    return words.rpartition(": ")[2].rstrip(".").lower() if isinstance(inner, HTTPError) else words.rstrip(".").lower()


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
            f"HTTP status {response.status} came back with a body that no Imagefleet server sends.",
            status=response.status,
            correlation_id=correlation_id,
            retry_after_s=retry_after_s,
        )


def _seconds(retry_after: str) -> float | None:
    """The header in seconds from now; it holds whole seconds or a date."""
    if retry_after.isascii() and retry_after.isdigit():
        return float(retry_after)
    try:
        return max(0.0, parsedate_to_datetime(retry_after).timestamp() - time.time())
    except (ValueError, TypeError, OverflowError):
        return None
