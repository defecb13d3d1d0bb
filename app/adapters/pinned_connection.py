"""IP-pinned HTTP connections: they go to an address that was checked before, and end when their deadline has passed.

`_new_conn` is where urllib3's connections open their socket. It is private by name, but the one place where the address
can be chosen while SNI, certificate and Host header still go by the name.
"""

from __future__ import annotations

import contextlib
import logging
import socket
import ssl
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from http.client import HTTPException, IncompleteRead, RemoteDisconnected
from types import TracebackType
from typing import Self

import urllib3
from urllib3.connection import HTTPConnection, HTTPSConnection

from app.adapters.addresses import AddressRules, IPAddress
from app.adapters.fetch_errors import BadAnswer, BadCertificate, FetchError, FetchTimeout, HostUnreachable
from app.domain.urls import WebUrl

ADDRESSES_TRIED = 4

# urllib3 warns of headers that it cannot parse with the whole URL, whose query may be a signature, and the headers.
logging.getLogger("urllib3").setLevel(logging.CRITICAL)


class Deadline:
    """The time of one whole attempt.

    A socket's timeout starts anew with every byte, so a dripping host never meets it. This one ends the attempt by
    shutting the socket down from beside, which wakes any read, TLS handshakes included.
    """

    def __init__(self, timeout_ms: int) -> None:
        self._ends = time.monotonic() + timeout_ms / 1000
        self._sentence = f"The host did not deliver within {timeout_ms} ms."
        self._lock = threading.Lock()
        self._guarded: socket.socket | None = None
        self._over = False
        self._timer = threading.Timer(timeout_ms / 1000, self._cut)
        self._timer.daemon = True

    def __enter__(self) -> Self:
        self._timer.start()
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self._timer.cancel()
        with self._lock:
            self._release()

    def left_s(self) -> float:
        """Seconds left, more than zero. Raises FetchTimeout when there are none."""
        left = self._ends - time.monotonic()
        if self._over or left <= 0:
            raise FetchTimeout(self._sentence)
        return left

    def guard(self, sock: socket.socket) -> None:
        """Make `sock` the one that is cut off. Wrapping it in TLS detaches the object, so a duplicate is kept."""
        with self._lock:
            self._release()
            self._guarded = sock.dup()
        self.left_s()

    @contextlib.contextmanager
    def faults(self, host: str) -> Iterator[None]:
        """Whatever breaks on the wire inside becomes a FetchError: a timeout where the time is over."""
        try:
            yield
        except FetchError:
            raise
        except (OSError, ValueError, HTTPException, urllib3.exceptions.HTTPError) as error:
            self.left_s()
            raise _translated(error, host, self._sentence) from error

    def _cut(self) -> None:
        with self._lock:
            self._over = True
            if self._guarded is not None:
                with contextlib.suppress(OSError):
                    self._guarded.shutdown(socket.SHUT_RDWR)

    def _release(self) -> None:
        if self._guarded is not None:
            self._guarded.close()
            self._guarded = None


def connect(url: WebUrl, rules: AddressRules, tls: ssl.SSLContext, deadline: Deadline) -> HTTPConnection:
    """A connection to one of the admitted addresses, opened when first used; SNI and certificate still go by name."""
    addresses = rules.admit(url.host, url.port, deadline.left_s())

    def open_socket() -> socket.socket:
        return _open(addresses, url, deadline)

    if url.scheme == "https":
        return _PinnedHTTPS(url, open_socket, deadline.left_s(), tls)
    return _PinnedHTTP(url, open_socket, deadline.left_s())


class _PinnedHTTP(HTTPConnection):
    def __init__(self, url: WebUrl, open_socket: Callable[[], socket.socket], timeout_s: float) -> None:
        super().__init__(url.host, url.port, timeout=timeout_s)
        self._open_socket = open_socket

    def _new_conn(self) -> socket.socket:
        return self._open_socket()


class _PinnedHTTPS(HTTPSConnection):
    def __init__(
        self, url: WebUrl, open_socket: Callable[[], socket.socket], timeout_s: float, tls: ssl.SSLContext
    ) -> None:
        super().__init__(url.host, url.port, timeout=timeout_s, ssl_context=tls)
        self._open_socket = open_socket

    def _new_conn(self) -> socket.socket:
        return self._open_socket()


def _open(addresses: Sequence[IPAddress], url: WebUrl, deadline: Deadline) -> socket.socket:
    """The first address that answers. Each may use its share of the time that is left."""
    candidates = list(addresses[:ADDRESSES_TRIED])
    while True:
        address = candidates.pop(0)
        try:
            sock = socket.create_connection((str(address), url.port), deadline.left_s() / (len(candidates) + 1))
        except OSError:
            if not candidates:
                raise
            continue
        sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        try:
            deadline.guard(sock)
            sock.settimeout(deadline.left_s())
        except (OSError, FetchError):
            sock.close()
            raise
        return sock


def _translated(error: Exception, host: str, over_time: str) -> FetchError:
    causes = list(_causes(error))
    if _any(causes, TimeoutError):
        return FetchTimeout(over_time)
    if _any(causes, ssl.SSLCertVerificationError):
        return BadCertificate(f"{host} has no valid certificate for its name.")
    if _any(causes, ConnectionError, IncompleteRead, RemoteDisconnected, ssl.SSLEOFError, ssl.SSLZeroReturnError):
        return HostUnreachable(f"{host} broke the connection off before the end.")
    if _any(causes, ssl.SSLError):
        return BadAnswer(f"{host} does not speak TLS as it should.")
    if _any(causes, OSError):
        return HostUnreachable(f"{host} could not be reached.")
    return BadAnswer(f"{host} does not speak HTTP as it should.")


def _any(causes: Sequence[BaseException], *kinds: type[BaseException]) -> bool:
    return any(isinstance(cause, kinds) for cause in causes)


def _causes(error: BaseException | None) -> Iterator[BaseException]:
    """The error, what it was raised from, and what urllib3 packed into its arguments."""
    while error is not None:
        yield error
        yield from (argument for argument in error.args if isinstance(argument, BaseException))
        error = error.__cause__ or error.__context__
