"""The TCP socket below a WebSocket, made safe: whole frames out, a bounded flow in.

The WebSocket library calls `socket.send` once a frame and trusts it, though it may send a part; two senders then mix
their frames. It also has a thread that reads as fast as a peer writes and keeps all of it. The first is mended here, below
the library; instead of the second, whoever wants to hear something reads.
"""

from __future__ import annotations

import socket
import threading
import time
from collections.abc import Callable, Iterator
from typing import Any

from app.domain.flow_control import Flow

SEND_TIMEOUT_S = 10.0
BYTES_PER_S = 2 * 2**20
READ_BYTES = 4096
BURST_S = 2.0
ESTABLISHED = 1  # TCP_ESTABLISHED of Linux
LEAST_BYTES = 512  # that a frame counts for: pings and fragments of some bytes cost as much time as large ones


class WireSocket:
    """Stands where the library expects the connection's socket (gevent's, which waits without holding up others)."""

    def __init__(self, raw: Any, send_timeout_s: float = SEND_TIMEOUT_S, bytes_per_s: int = BYTES_PER_S) -> None:
        self._raw = raw
        self._send_timeout_s = send_timeout_s
        self._flow = Flow(bytes_per_s, BURST_S, time.monotonic())
        self._sending = threading.Lock()
        self.heard_at = time.monotonic()

    @property
    def over_for_s(self) -> float:
        """For how long more has come than may, without a pause, in seconds."""
        return self._flow.over_for_s(time.monotonic())

    def count(self, size: int) -> None:
        """So many bytes more than were read count."""
        self._flow.spend(size, time.monotonic())

    @property
    def is_gone(self) -> bool:
        """True where the system knows that the peer has hung up, read or not. It may be asked from any thread."""
        if not hasattr(socket, "TCP_INFO"):
            return False
        try:
            state: bytes = self._raw.getsockopt(socket.IPPROTO_TCP, socket.TCP_INFO, 1)
        except OSError:  # it is closed
            return True
        return state[0] != ESTABLISHED

    def send(self, data: bytes) -> int:
        """Send all of `data` within the deadline, or break the connection: a torn frame would spoil all that follow.

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
        """The next bytes, `READ_BYTES` at most, not faster than the limit; none at the end, None where none came in time.

        Raises OSError where the connection is broken.
        """
        if wait_s := self._flow.wait_s(time.monotonic()):
            time.sleep(wait_s)
        self._raw.settimeout(max(0.001, timeout_s))
        try:
            data: bytes = self._raw.recv(READ_BYTES)
        except TimeoutError:
            return None
        self.heard_at = time.monotonic()
        self._flow.spend(len(data), self.heard_at)
        time.sleep(0)  # under gevent a peer that always has something to say would not let others speak
        return data

    def close(self) -> None:
        """Close the connection, waking whoever reads or writes."""
        self._raw.close()

    def fileno(self) -> int:
        """The file descriptor."""
        return int(self._raw.fileno())


class NoReader:
    """Given to the library as the thread that would read all the time, and as the event that would wake who waits for it.

    A thread for each socket costs 13 KiB. Whoever has a session reads by itself, when it wants to hear something.
    """

    name = ""

    def __init__(self, target: Callable[[], object] | None = None) -> None:
        """Nothing is run."""

    def start(self) -> None:
        """There is nothing to begin."""

    def set(self) -> None:
        """Nobody waits."""


def count_frames(ws: Any) -> None:
    """Have every frame that the WebSocket `ws` reads count for `LEAST_BYTES` more: 4,000 a second with the defaults."""
    events, wire = ws.ws.events, ws.sock

    def counted() -> Iterator[Any]:
        for event in events():
            wire.count(LEAST_BYTES)
            yield event

    ws.ws.events = counted
