"""One WebSocket to the server. Any thread may send; only one thread reads."""

from __future__ import annotations

import contextlib
import socket
import struct
import threading
from collections.abc import Iterator, Mapping
from typing import Any

import websocket

from imagefleet.wire import encode

CONNECT_S = 10.0
GOODBYE_S = 1.0
GOING_AWAY = 1001


class Closed(Exception):
    """The connection ended or could not be opened. `code` is the server's close code, if any."""

    def __init__(self, why: str, code: int | None = None) -> None:
        super().__init__(why)
        self.code = code


class Connection:
    """Connects when created. It is considered dead when nothing arrives for `silence_s` seconds. Raises Closed.

    Until `settled` is called, the server has to answer promptly.
    """

    def __init__(self, url: str, silence_s: float) -> None:
        self.url = url
        self._silence_s = silence_s
        self._ended = threading.Event()
        self._sending = threading.Lock()
        self._closing = False
        self._wire = websocket.WebSocket(enable_multithread=True)
        try:
            self._wire.settimeout(min(CONNECT_S, silence_s))
            self._wire.connect(url, suppress_origin=True)  # type: ignore[no-untyped-call] # the library has no types
        except Exception as error:  # noqa: BLE001 - a failed handshake raises many types
            raise Closed(f"cannot connect to {url}: {_cause(error)}") from None

    def settled(self) -> None:
        """The handshake is over: from now on silence is allowed up to `silence_s`."""
        self._wire.settimeout(self._silence_s)

    def send(self, message: Mapping[str, Any]) -> None:
        """Send one message. Raises Closed, also after `close_gracefully`; the message may still have arrived."""
        with self._sending:
            if self._closing:
                raise Closed("the extension is stopping")
            self._send_now(message)

    def ping(self) -> None:
        """Send a ping, which any WebSocket server answers. Raises Closed."""
        with self._translate_errors():
            self._wire.ping()

    def receive(self) -> str:
        """The next message's text. Raises Closed."""
        while True:
            with self._translate_errors():
                opcode, content = self._wire.recv_data_frame(control_frame=True)
            if opcode == websocket.ABNF.OPCODE_CLOSE:
                raise _closed_by_server(content.data)
            if opcode == websocket.ABNF.OPCODE_TEXT:
                return bytes(content.data).decode("utf-8", "replace")

    def close_gracefully(self, final_message: Mapping[str, Any]) -> None:
        """Send a final message and do the closing handshake; takes a second at most."""
        threading.Thread(
            target=self._close_handshake, args=(final_message,), name="closing-handshake", daemon=True
        ).start()
        self._ended.wait(GOODBYE_S)
        self.abort()

    def abort(self) -> None:
        """Shut the connection down at once; reads and writes in other threads fail."""
        wire = self._wire.sock
        if wire is not None:
            with contextlib.suppress(OSError):
                wire.shutdown(socket.SHUT_RDWR)

    def close(self) -> None:
        """Release the connection; called by the reading thread when it is done."""
        self.abort()
        self._wire.shutdown()  # type: ignore[no-untyped-call] # the library has no types
        self._ended.set()

    def _close_handshake(self, final_message: Mapping[str, Any]) -> None:
        with contextlib.suppress(Closed), self._sending:
            # A thread that still draws must not report on a job that the final message gave back.
            self._closing = True
            self._send_now(final_message)
            with self._translate_errors():
                self._wire.send_close(GOING_AWAY, b"the extension is stopping")

    def _send_now(self, message: Mapping[str, Any]) -> None:
        with self._translate_errors():
            self._wire.send_text(encode(message))

    @contextlib.contextmanager
    def _translate_errors(self) -> Iterator[None]:
        try:
            yield
        except websocket.WebSocketTimeoutException:
            self.abort()
            raise Closed("the server has been silent for too long") from None
        except (websocket.WebSocketException, OSError, AttributeError) as error:
            # AttributeError: the library raises it if another thread has just closed the socket
            self.abort()
            raise Closed(f"the connection broke: {_cause(error)}") from None


def _closed_by_server(data: bytes) -> Closed:
    if len(data) < 2:
        return Closed("the server closed the connection")
    code = struct.unpack(">H", data[:2])[0]
    reason = data[2:].decode("utf-8", "replace")
    return Closed(f"the server closed the connection with code {code}{': ' if reason else ''}{reason}", code)


def _cause(error: Exception) -> str:
    text = (isinstance(error, OSError) and error.strerror) or str(error) or type(error).__name__
    return text.splitlines()[0].rstrip(".").lower()
