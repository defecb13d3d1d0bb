"""The TCP socket below a WebSocket, made safe: whole frames out, a bounded flow in.

The WebSocket library calls `socket.send` once a frame and trusts it, though it may send a part; two senders then mix
their frames. It also reads as fast as a peer writes and keeps all of it. Both are mended here, below the library.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator
from typing import Any

from app.domain.buckets import Flow

SEND_TIMEOUT_S = 10.0
BYTES_PER_S = 2 * 2**20
BURST_S = 2.0
LEAST_BYTES = 512  # that a frame counts for: pings and fragments of some bytes cost as much time as large ones


class WireSocket:
    """Stands where the library expects the connection's socket (gevent's, which waits without holding up others)."""

    def __init__(self, raw: Any, send_timeout_s: float = SEND_TIMEOUT_S, bytes_per_s: int = BYTES_PER_S) -> None:
        self._raw = raw
        self._send_timeout_s = send_timeout_s
        self._flow = Flow(bytes_per_s, BURST_S, time.monotonic())
        self._sending = threading.Lock()
        self._room = threading.Event()
        self._is_full: Callable[[], bool] = bool
        self.heard_at = time.monotonic()

    @property
    def over_for_s(self) -> float:
        """For how long more has come than may, without a pause, in seconds."""
        return self._flow.over_for_s(time.monotonic())

    def count(self, size: int) -> None:
        """So many bytes more than were read count."""
        self._flow.spend(size, time.monotonic())

    def hold_while(self, is_full: Callable[[], bool]) -> None:
        """Read no more while `is_full` says so; `room` tells that it may have changed."""
        self._is_full = is_full

    def room(self) -> None:
        """Something was taken off the pile."""
        self._room.set()

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

    def recv(self, size: int) -> bytes:
        """At most `size` bytes, not faster than the limit, and none while nobody takes off what was read before."""
        self._wait_for_room()
        self._wait_for_tokens()
        data: bytes = self._raw.recv(size)
        self.heard_at = time.monotonic()
        self._flow.spend(len(data), self.heard_at)
        time.sleep(0)  # under gevent a peer that always has something to say would not let others speak
        return data

    def close(self) -> None:
        """Close the connection, waking whoever reads or writes."""
        self._room.set()
        self._raw.close()

    def fileno(self) -> int:
        """The file descriptor."""
        return int(self._raw.fileno())

    def _wait_for_room(self) -> None:
        while self._is_full():
            self._room.clear()
            if self._is_full():
                self._room.wait()

    def _wait_for_tokens(self) -> None:
        if wait_s := self._flow.wait_s(time.monotonic()):
            time.sleep(wait_s)


def count_frames(ws: Any) -> None:
    """Have every frame that the WebSocket `ws` reads count for `LEAST_BYTES` more: 4,000 a second with the defaults."""
    events, wire = ws.ws.events, ws.sock

    def counted() -> Iterator[Any]:
        for event in events():
            wire.count(LEAST_BYTES)
            yield event

    ws.ws.events = counted
