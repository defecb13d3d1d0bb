"""IP-pinned HTTP connections: they connect to an address that was checked before, and are cut off at their deadline.

`_new_conn` opens the socket of a urllib3 connection. It is private, but it is the only place where the address can be
chosen while SNI, certificate check and Host header still use the name.
"""

import contextlib
import socket
import ssl
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from functools import partial
from http.client import HTTPException, IncompleteRead, RemoteDisconnected
from types import TracebackType
from typing import Self

import urllib3
from urllib3.connection import HTTPConnection, HTTPSConnection

from app.adapters.addresses import AddressRules, IPAddress
from app.adapters.fetch_errors import BadCertificate, BadResponse, FetchError, FetchTimeout, HostUnreachable
from app.domain.urls import WebUrl

MAX_ADDRESSES = 4


class Deadline:
    """The time limit of one whole attempt.

    A socket's time-out restarts with every byte, so a host that drips bytes never reaches it. This class shuts the socket
    down from another thread, which ends any read and any TLS handshake.
    """

    def __init__(self, timeout_ms: int, failed: str = "did not deliver") -> None:
        self._ends = time.monotonic() + timeout_ms / 1000
        self._message = f"The host {failed} within {timeout_ms / 1000:g} seconds."
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
        """The positive number of seconds left. Raises FetchTimeout if there are none."""
        left = self._ends - time.monotonic()
        if self._over or left <= 0:
            raise FetchTimeout(self._message)
        return left

    def guard(self, sock: socket.socket) -> None:
        """Cut off `sock` at the deadline. TLS detaches the socket object, so this keeps a duplicate."""
        with self._lock:
            self._release()
            self._guarded = sock.dup()
        self.left_s()

    @contextlib.contextmanager
    def translate_errors(self, host: str) -> Iterator[None]:
        """In this context, every network error becomes a FetchError; after the deadline, a FetchTimeout."""
        try:
            yield
        except FetchError:
            raise
        except (OSError, ValueError, HTTPException, urllib3.exceptions.HTTPError) as error:
            self.left_s()
            raise _translated(error, host, self._message) from error

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
    """A connection to one of the allowed addresses, opened on first use; SNI and certificate check use the name."""
    addresses = rules.admit(url.host, url.port, deadline.left_s())
    timeout_s = deadline.left_s()
    connection = (
        _PinnedHTTPS(url.host, url.port, timeout=timeout_s, ssl_context=tls)
        if url.scheme == "https"
        else _PinnedHTTP(url.host, url.port, timeout=timeout_s)
    )
    connection.open_socket = partial(_open, addresses, url, deadline)
    return connection


class _Pinned:
    open_socket: Callable[[], socket.socket]

    def _new_conn(self) -> socket.socket:
        return self.open_socket()


class _PinnedHTTP(_Pinned, HTTPConnection):
    pass


class _PinnedHTTPS(_Pinned, HTTPSConnection):
    pass


def _open(addresses: Sequence[IPAddress], url: WebUrl, deadline: Deadline) -> socket.socket:
    """Connect to the first address that answers. Each may take an equal share of the time left."""
    candidates = list(addresses[:MAX_ADDRESSES])
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


def _translated(error: Exception, host: str, timeout_message: str) -> FetchError:
    causes = list(_causes(error))
    if _any(causes, TimeoutError):
        return FetchTimeout(timeout_message)
    if _any(causes, ssl.SSLCertVerificationError):
        return BadCertificate(f"{host} has no valid certificate for its name.")
    if _any(causes, ConnectionError, IncompleteRead, RemoteDisconnected, ssl.SSLEOFError, ssl.SSLZeroReturnError):
        return HostUnreachable(f"{host} closed the connection before the end.")
    if _any(causes, ssl.SSLError):
        return BadResponse(f"{host} violates the TLS protocol.")
    if _any(causes, OSError):
        return HostUnreachable(f"{host} could not be reached.")
    return BadResponse(f"{host} violates the HTTP protocol.")


def _any(causes: Sequence[BaseException], *kinds: type[BaseException]) -> bool:
    return any(isinstance(cause, kinds) for cause in causes)


def _causes(error: BaseException | None) -> Iterator[BaseException]:
    """The error, its causes, and the errors that urllib3 put into its arguments."""
    while error is not None:
        yield error
        yield from (argument for argument in error.args if isinstance(argument, BaseException))
        error = error.__cause__ or error.__context__
