"""One WebSocket to the server: anyone may send, whole messages one after the other; one thread reads."""

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
    """The connection is over, or never came about; the text says why, `code` is the server's close code if it gave one."""

    def __init__(self, why: str, code: int | None = None) -> None:
        super().__init__(why)
        self.code = code


class Connection:
    """Connects at once. It counts as dead when nothing at all comes for `silence_s` seconds. Raises Closed.

    Until it is `settled`, the server is expected to answer at once.
    """

    def __init__(self, url: str, silence_s: float) -> None:
        self.url = url
        self._silence_s = silence_s
        self._ended = threading.Event()
        self._speaking = threading.Lock()
        self._has_left = False
        self._wire = websocket.WebSocket(enable_multithread=True)
        try:
            self._wire.settimeout(min(CONNECT_S, silence_s))
            self._wire.connect(url, suppress_origin=True)  # type: ignore[no-untyped-call] # theirs has no types
        except Exception as error:  # noqa: BLE001 - whatever a stranger's handshake makes the library raise means the same
            raise Closed(f"cannot connect to {url}: {_why(error)}") from None

    def settled(self) -> None:
        """The introductions are over: from now on there may be silence."""
        self._wire.settimeout(self._silence_s)

    def send(self, message: Mapping[str, Any]) -> None:
        """One message; none after the goodbye. Raises Closed; what had begun to go out may or may not have arrived."""
        with self._speaking:
            if self._has_left:
                raise Closed("the extension ends")
            self._say(message)

    def ping(self) -> None:
        """Ask for a sign of life, which any WebSocket server gives. Raises Closed."""
        with self._faults():
            self._wire.ping()

    def receive(self) -> str:
        """The next message's text. Raises Closed."""
        while True:
            with self._faults():
                opcode, content = self._wire.recv_data_frame(control_frame=True)
            if opcode == websocket.ABNF.OPCODE_CLOSE:
                raise _closed_by_server(content.data)
            if opcode == websocket.ABNF.OPCODE_TEXT:
                return bytes(content.data).decode("utf-8", "replace")

    def goodbye(self, last: Mapping[str, Any]) -> None:
        """Send a last word and close as the protocol provides; within a second, whatever the server does."""
        threading.Thread(target=self._leave, args=(last,), name="goodbye", daemon=True).start()
        self._ended.wait(GOODBYE_S)
        self.abort()

    def abort(self) -> None:
        """End it at once, under the hands of whoever reads or writes."""
        wire = self._wire.sock
        if wire is not None:
            with contextlib.suppress(OSError):
                wire.shutdown(socket.SHUT_RDWR)

    def close(self) -> None:
        """Give back what the connection holds; for the one who reads, when done."""
        self.abort()
        self._wire.shutdown()  # type: ignore[no-untyped-call] # theirs has no types
        self._ended.set()

    def _leave(self, last: Mapping[str, Any]) -> None:
        with contextlib.suppress(Closed), self._speaking:
            # A thread that still draws must not report on a job that the last word gave back.
            self._has_left = True
            self._say(last)
            with self._faults():
                self._wire.send_close(GOING_AWAY, b"the extension ends")

    def _say(self, message: Mapping[str, Any]) -> None:
        with self._faults():
            self._wire.send_text(encode(message))

    @contextlib.contextmanager
    def _faults(self) -> Iterator[None]:
        try:
            yield
        except websocket.WebSocketTimeoutException:
            self.abort()
            raise Closed("the server has been silent for too long") from None
        except (websocket.WebSocketException, OSError, AttributeError) as error:
            # AttributeError: the library itself stumbles where another thread has just closed the socket
            self.abort()
            raise Closed(f"the connection broke: {_why(error)}") from None


def _closed_by_server(data: bytes) -> Closed:
    if len(data) < 2:
        return Closed("the server closed the connection")
    code = struct.unpack(">H", data[:2])[0]
    reason = data[2:].decode("utf-8", "replace")
    return Closed(f"the server closed the connection with code {code}{': ' if reason else ''}{reason}", code)


def _why(error: Exception) -> str:
    words = (isinstance(error, OSError) and error.strerror) or str(error) or type(error).__name__
    return words.splitlines()[0].rstrip(".").lower()
