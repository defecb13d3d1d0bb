"""The TCP socket below a WebSocket, with whole frames out and a bounded flow in; and what else simple-websocket needs.

The library calls `socket.send` once for each frame and ignores how much was sent, so that two senders may mix their frames.
It also starts a thread for each socket, which reads as fast as the peer writes and keeps all of it. `WireSocket` sends whole
frames; `NoThread` replaces the thread, and the session reads instead with `read_frames`.
"""

from __future__ import annotations

import socket
import threading
import time
from collections.abc import Callable, Iterator
from typing import Any

from simple_websocket import Server
from wsproto.events import Ping

from app.domain.flow_control import Flow

SEND_TIMEOUT_S = 10.0
BYTES_PER_S = 2 * 2**20
READ_BYTES = 4096
BURST_S = 2.0
ESTABLISHED = 1  # TCP_ESTABLISHED of Linux
FRAME_BYTES = 512  # added for each frame: pings and small fragments cost as much time as large ones


class WireSocket:
    """Wraps the connection's socket, which under gevent waits without blocking other greenlets."""

    def __init__(self, raw: Any, send_timeout_s: float = SEND_TIMEOUT_S, bytes_per_s: int = BYTES_PER_S) -> None:
        self._raw = raw
        self._send_timeout_s = send_timeout_s
        self._flow = Flow(bytes_per_s, BURST_S, time.monotonic())
        self._sending = threading.Lock()
        self.received_at = time.monotonic()

    @property
    def over_for_s(self) -> float:
        """Seconds for which the peer has sent more than the limit without a pause."""
        return self._flow.over_for_s(time.monotonic())

    def count(self, size: int) -> None:
        """Count so many bytes against the limit, in addition to those read."""
        self._flow.spend(size, time.monotonic())

    @property
    def is_gone(self) -> bool:
        """True where the system knows that the peer has disconnected, read or not. Any thread may call it."""
        if not hasattr(socket, "TCP_INFO"):
            return False
        try:
            state: bytes = self._raw.getsockopt(socket.IPPROTO_TCP, socket.TCP_INFO, 1)
        except OSError:  # it is closed
            return True
        return state[0] != ESTABLISHED

    def send(self, data: bytes) -> int:
        """Send all of `data` within the deadline, or close the connection: after half a frame no other can be read.

        Raises OSError where the peer is gone or reads too slowly.
        """
        ends = time.monotonic() + self._send_timeout_s
        with self._sending:
            rest = memoryview(data)
            try:
                while rest:
                    rest = rest[self._raw.send(rest, 0, max(0.001, ends - time.monotonic())) :]
            except TimeoutError:
                self.close()
                raise
        return len(data)

    def read(self, timeout_s: float) -> bytes | None:
        """The next bytes, not faster than the limit; b"" at the end, None where none came in time.

        Raises OSError where the connection is broken.
        """
        if wait_s := self._flow.wait_s(time.monotonic()):
            time.sleep(wait_s)
        self._raw.settimeout(max(0.001, timeout_s))
        try:
            data: bytes = self._raw.recv(READ_BYTES)
        except TimeoutError:
            return None
        self.received_at = time.monotonic()
        self._flow.spend(len(data), self.received_at)
        time.sleep(0)  # under gevent, data that is always ready would starve the other greenlets
        return data

    def close(self) -> None:
        """Close the connection; a thread that reads or writes gets an OSError."""
        self._raw.close()

    def fileno(self) -> int:
        """The file descriptor."""
        return int(self._raw.fileno())


class NoThread:
    """Given to the library as its thread class and its event class: a thread for each socket would cost 13 KiB."""

    name = ""

    def __init__(self, target: Callable[[], object] | None = None) -> None:
        """`target` is not run."""

    def start(self) -> None:
        """As of a thread."""

    def set(self) -> None:
        """As of an event."""


def read_frames(ws: Server, timeout_s: float) -> bool:
    """Read once and handle the frames that came, as the library's own thread does; messages go to `ws.input_buffer`.

    False where nothing came in time, or at the end, where `ws.connected` is then False. Raises OSError and ProtocolError.
    """
    data = ws.sock.read(timeout_s)
    if data:
        ws.ws.receive_data(data)
        # private: the library offers no way to process what was read by its caller
        ws.connected = ws._handle_events() and ws.connected
    elif data is not None:
        ws.connected = False
    return bool(data)


def send_ping(ws: Server) -> None:
    """Send a ping; the library sets `ws.pong_received` when a pong comes."""
    ws.sock.send(ws.ws.send(Ping()))


def count_frames(ws: Server) -> None:
    """Count every frame that `ws` reads as `FRAME_BYTES` more: at most 4,000 a second with the defaults."""
    events, wire = ws.ws.events, ws.sock

    def counted() -> Iterator[Any]:
        for event in events():
            wire.count(FRAME_BYTES)
            yield event

    ws.ws.events = counted
