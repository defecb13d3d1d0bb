"""One WebSocket to the server. Any thread may send; only one thread reads."""

from __future__ import annotations

import contextlib
import ipaddress
import socket
import threading
import time
from collections import deque
from collections.abc import Iterator, Mapping
from typing import Any
from urllib.parse import urlsplit

from websockets.exceptions import ConnectionClosed, WebSocketException
from websockets.sync.client import ClientConnection, connect

from imagefleet.connecting import tls_context
from imagefleet.defaults import VERSION
from imagefleet.models.base import encoded

CONNECT_S = 10.0
GOODBYE_S = 1.0
GOING_AWAY = 1001
NO_STATUS = 1005
# Servers send prompts and addresses; pictures are fetched.
MAX_MESSAGE_BYTES = 16 * 1024 * 1024


class Closed(Exception):
    """The connection ended or could not be opened. `code` is the server's close code, if any."""

    def __init__(self, why: str, code: int | None = None) -> None:
        super().__init__(why)
        self.code = code


@contextlib.contextmanager
def connected(url: str, silence_s: float) -> Iterator[Connection]:
    """A connection to the server, closed at the end. Raises Closed if there can be none."""
    with contextlib.ExitStack() as stack:
        try:
            wire = stack.enter_context(
                connect(
                    url,
                    ssl=tls_context() if urlsplit(url).scheme == "wss" else None,
                    proxy=None if _is_this_machine(url) else True,
                    compression=None,
                    user_agent_header=f"imagefleet/{VERSION}",
                    open_timeout=min(CONNECT_S, silence_s),
                    close_timeout=GOODBYE_S,
                    ping_interval=None,
                    max_size=MAX_MESSAGE_BYTES,
                )
            )
        except (OSError, ValueError, ImportError, WebSocketException) as error:  # ImportError: for a SOCKS proxy
            raise Closed(f"cannot connect to {url}: {_cause(error)}") from None
        connection = Connection(wire, url, silence_s)
        stack.callback(connection.abort)
        yield connection


class Connection:
    """It is considered dead when nothing arrives for `silence_s` seconds. Raises Closed.

    Until `settled` is called, the server has to answer promptly.
    """

    def __init__(self, wire: ClientConnection, url: str, silence_s: float) -> None:
        self.url = url
        self._wire = wire
        self._silence_s = silence_s
        self._allowed_s = min(CONNECT_S, silence_s)
        self._heard_at = time.monotonic()
        self._pings: deque[tuple[threading.Event, float]] = deque()
        self._sending = threading.Lock()
        self._closing = False

    def settled(self) -> None:
        """The handshake is over: from now on silence is allowed up to `silence_s`."""
        self._allowed_s = self._silence_s

    def send(self, message: Mapping[str, Any]) -> None:
        """Send one message. Raises Closed, also after `close_gracefully`; the message may still have arrived."""
        with self._sending:
            if self._closing:
                raise Closed("the extension is stopping")
            self._send_now(message)

    def ping(self) -> None:
        """Send a ping, which any WebSocket server answers. Raises Closed."""
        sent_at = time.monotonic()
        with self._translate_errors():
            self._pings.append((self._wire.ping(), sent_at))

    def receive(self) -> str:
        """The next message's text. Raises Closed."""
        while True:
            left_s = self._heard_at + self._allowed_s - time.monotonic()
            try:
                with self._translate_errors():
                    message = self._wire.recv(max(0.0, left_s))
            except TimeoutError:
                self._heard_at = max(self._heard_at, self._last_answered_ping())
                if time.monotonic() - self._heard_at < self._allowed_s:
                    continue
                self.abort()
                raise Closed("the server has been silent for too long") from None
            self._heard_at = time.monotonic()
            if isinstance(message, str):
                return message

    def close_gracefully(self, final_message: Mapping[str, Any]) -> None:
        """Send a final message and do the closing handshake; takes a second at most."""
        handshake = threading.Thread(
            target=self._close_handshake, args=(final_message,), name="closing-handshake", daemon=True
        )
        handshake.start()
        handshake.join(GOODBYE_S)
        self.abort()

    def abort(self) -> None:
        """Shut the connection down at once; reads and writes in other threads fail."""
        with contextlib.suppress(OSError):
            self._wire.socket.shutdown(socket.SHUT_RDWR)

    def _last_answered_ping(self) -> float:
        """When the last ping that was answered was sent: since then the server has been heard."""
        sent_at = 0.0
        while self._pings and self._pings[0][0].is_set():
            sent_at = self._pings.popleft()[1]
        return sent_at

    def _close_handshake(self, final_message: Mapping[str, Any]) -> None:
        with contextlib.suppress(Closed), self._sending:
            # A thread that still draws must not report on a job that the final message gave back.
            self._closing = True
            self._send_now(final_message)
            with self._translate_errors():
                self._wire.close(GOING_AWAY, "the extension is stopping")

    def _send_now(self, message: Mapping[str, Any]) -> None:
        with self._translate_errors():
            self._wire.send(encoded(message), text=True)

    @contextlib.contextmanager
    def _translate_errors(self) -> Iterator[None]:
        try:
            yield
        except ConnectionClosed as error:
            raise _closed(error) from None


def _closed(error: ConnectionClosed) -> Closed:
    frame = error.rcvd
    if frame is None:
        cause = error.__cause__
        why = "it ended without a close" if cause is None else _cause(cause)
        return Closed(f"the connection broke: {why}")
    if frame.code == NO_STATUS:
        return Closed("the server closed the connection")
    text = f"the server closed the connection with code {frame.code}{': ' if frame.reason else ''}{frame.reason}"
    return Closed(text, frame.code)


def _cause(error: BaseException) -> str:
    text = (isinstance(error, OSError) and error.strerror) or str(error) or type(error).__name__
    return text.splitlines()[0].rstrip(".").lower()


def _is_this_machine(url: str) -> bool:
    """No proxy leads to a server on this machine."""
    try:
        host = urlsplit(url).hostname or ""
        return host == "localhost" or ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False
