"""The TCP socket below a WebSocket: sends whole frames, reads at a bounded rate, and adapts simple-websocket to that.

The library calls `socket.send` once for each frame and ignores how much was sent, so frames of two senders may interleave.
It also starts a thread for each socket, which reads as fast as the peer writes and buffers everything. `WireSocket` sends
whole frames. `NoThread` replaces the thread; the session calls `read_frames` instead.
"""

import socket
import threading
import time
from collections.abc import Callable, Iterator
from typing import Any

from gevent.socket import wait_write
from simple_websocket import Server
from wsproto.events import BytesMessage, Ping, TextMessage

from app.domain.flow_control import Flow

SEND_TIMEOUT_S = 10.0
BYTES_PER_S = 2 * 2**20
READ_BYTES = 4096
BURST_S = 2.0
ESTABLISHED = 1  # TCP_ESTABLISHED of Linux
HEAD_CHARS = 4_096
FRAME_BYTES = 512  # counted for each frame in addition: pings and small fragments cost as much time as large frames


class WireSocket:
    """Wraps the connection's gevent socket, so that its waits do not block other greenlets."""

    def __init__(self, raw: Any, send_timeout_s: float = SEND_TIMEOUT_S, bytes_per_s: int = BYTES_PER_S) -> None:
        self._raw = raw
        self._send_timeout_s = send_timeout_s
        self._flow = Flow(bytes_per_s, BURST_S, time.monotonic())
        self._sending = threading.Lock()
        self.received_at = time.monotonic()

    @property
    def over_for_s(self) -> float:
        """Seconds for which the peer has continuously sent more than the limit."""
        return self._flow.over_for_s(time.monotonic())

    def count(self, size: int) -> None:
        """Count `size` bytes against the limit, in addition to those read."""
        self._flow.spend(size, time.monotonic())

    @property
    def is_gone(self) -> bool:
        """True if the system knows that the peer has disconnected, even if the end is unread. Thread-safe."""
        if not hasattr(socket, "TCP_INFO"):
            return False
        try:
            state: bytes = self._raw.getsockopt(socket.IPPROTO_TCP, socket.TCP_INFO, 1)
        except OSError:  # closed
            return True
        return state[0] != ESTABLISHED

    def send(self, data: bytes) -> int:
        """Send all of `data` within the time-out, or close the connection: no frame is readable after half a frame.

        Raises OSError if the peer has disconnected or reads too slowly.
        """
        deadline = time.monotonic() + self._send_timeout_s
        with self._sending:
            unsent = memoryview(data)
            try:
                while unsent:
                    unsent = unsent[self._send_some(unsent, deadline) :]
            except TimeoutError:
                self.close()
                raise
        return len(data)

    def _send_some(self, data: memoryview, deadline: float) -> int:
        try:
            sent: int = self._raw.send(data, 0, 0.0)
        except BlockingIOError:
            # Not `send` with a time-out: gevent would wait for as long as `read` has set for receiving.
            wait_write(self._raw.fileno(), max(0.001, deadline - time.monotonic()))
            return 0
        return sent

    def read(self, timeout_s: float) -> bytes | None:
        """Return the next bytes at the limited rate; b"" at the end of the stream, None after the time-out.

        Raises OSError if the connection is broken.
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
        time.sleep(0)  # under gevent, a socket that always has data would starve the other greenlets
        return data

    def close(self) -> None:
        """Close the connection. A thread that is reading or writing gets an OSError."""
        self._raw.close()


class NoThread:
    """Passed to the library as its thread class and its event class: a thread would cost 13 KiB for each socket."""

    name = ""

    def __init__(self, target: Callable[[], object] | None = None) -> None:
        """`target` is not run."""

    def start(self) -> None:
        """As `threading.Thread.start`."""

    def set(self) -> None:
        """As `threading.Event.set`."""


def read_frames(ws: Server, timeout_s: float) -> bool:
    """Read once and process the frames, as the library's own thread does. Messages go to `ws.input_buffer`.

    Returns False after the time-out, and at the end of the stream, after which `ws.connected` is False.
    Raises OSError and ProtocolError.
    """
    data = ws.sock.read(timeout_s)
    if data:
        ws.ws.receive_data(data)
        # Private: the library has no public function to process what its caller has read.
        ws.connected = ws._handle_events() and ws.connected
    elif data is not None:
        ws.connected = False
    return bool(data)


def send_ping(ws: Server) -> None:
    """Send a ping. The library sets `ws.pong_received` when it receives the pong."""
    ws.sock.send(ws.ws.send(Ping()))


class MessageTooLarge(Exception):
    """The peer's message is longer than allowed. `head` is its beginning; the rest of it is skipped."""

    def __init__(self, head: str) -> None:
        super().__init__("the message is too large")
        self.head = head


def watch_frames(ws: Server, max_message_chars: int) -> None:
    """Make `read_frames` raise MessageTooLarge for a message of more than `max_message_chars`.

    Each frame counts for `FRAME_BYTES` in addition: at most 4,000 frames a second by default.
    """
    events, wire, message = ws.ws.events, ws.sock, _MessageSize(max_message_chars)

    def watched() -> Iterator[Any]:
        for event in events():
            wire.count(FRAME_BYTES)
            if not isinstance(event, TextMessage | BytesMessage) or message.fits(event):
                yield event

    ws.ws.events = watched


class _MessageSize:
    """The size of the message that is being received, over all its frames."""

    def __init__(self, longest: int) -> None:
        self._longest = longest
        self._received = 0
        self._head = ""

    def fits(self, event: TextMessage | BytesMessage) -> bool:
        """Count a part of a message. Raises MessageTooLarge for the part with which it becomes too large; False after it."""
        before = self._received
        if not before:
            self._head = str(event.data[:HEAD_CHARS])
        self._received = 0 if event.message_finished else before + len(event.data)
        if before <= self._longest < before + len(event.data):
            raise MessageTooLarge(self._head)
        return before <= self._longest
