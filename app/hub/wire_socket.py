"""The TCP socket below a WebSocket, made safe: whole frames out, a bounded flow in.

The WebSocket library calls `socket.send` once a frame and trusts it, though it may send a part; two senders then mix
their frames. It also reads as fast as a peer writes and keeps all of it. Both are mended here, below the library.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from typing import Any

SEND_TIMEOUT_S = 10.0
BYTES_PER_S = 2 * 2**20
BURST_BYTES = 4 * 2**20


class WireSocket:
    """Stands where the library expects the connection's socket (gevent's, which waits without holding up others)."""

    def __init__(self, raw: Any, send_timeout_s: float = SEND_TIMEOUT_S, bytes_per_s: int = BYTES_PER_S) -> None:
        self._raw = raw
        self._send_timeout_s = send_timeout_s
        self._bytes_per_s = bytes_per_s
        self._sending = threading.Lock()
        self._tokens = float(BURST_BYTES)
        self._filled_at = time.monotonic()
        self._room = threading.Event()
        self._is_full: Callable[[], bool] = bool
        self.heard_at = time.monotonic()

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
        self._tokens -= len(data)
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
        now = time.monotonic()
        self._tokens = min(float(BURST_BYTES), self._tokens + (now - self._filled_at) * self._bytes_per_s)
        self._filled_at = now
        if self._tokens < 0:
            time.sleep(-self._tokens / self._bytes_per_s)
