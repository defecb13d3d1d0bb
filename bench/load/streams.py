"""`python -m bench.load.streams`: many Server-Sent Events streams."""

from __future__ import annotations

import socket
import time
from functools import partial
from typing import Any

from bench.figures import percentile
from bench.load.http import request_text
from bench.load.loop import Loop, run_commands

TIMEOUT_S = 60.0
AT_ONCE = 10


class Streams:
    """Server-Sent Events streams."""

    def __init__(self, loop: Loop) -> None:
        self.loop = loop
        self._received: dict[int, bytearray] = {}
        self._sockets: dict[int, socket.socket] = {}
        self._ends: set[int] = set()
        self._awaited = b"\n\nid: "
        self._arrived: dict[int, float] = {}

    def open(self, port: int, ids: list[str], count: int, key: str) -> dict[str, Any]:
        """Open `count` streams of these requests; each has sent its past events when this returns.

        A stream that is refused or closed before that is opened again, as clients do; `lost` is what those received.
        """
        begun = time.perf_counter()
        self._awaited, self._arrived = b"event: ImageGenerationAssigned", {}
        requests: dict[int, bytes] = {}
        lost: list[str] = []
        for number in range(count):
            request = request_text("GET", f"/api/images/{ids[number % len(ids)]}/events", key=key)
            requests[self._send(port, request)] = request
            self.loop.until(lambda number=number: len(self._arrived) + AT_ONCE > number, TIMEOUT_S)  # type: ignore[misc]
        ends = time.perf_counter() + TIMEOUT_S
        while len(self._arrived) < count and time.perf_counter() < ends:
            self.loop.until(
                lambda: len(self._arrived) >= count or bool(self._closed_early()), ends - time.perf_counter()
            )
            for fd in self._closed_early():
                lost.append(self._text(fd))
                self._forget(fd)
                fresh = self._send(port, requests[fd])
                requests[fresh] = requests[fd]
        silent = [self._text(fd) for fd in self._received if fd not in self._arrived]
        took = time.perf_counter() - begun
        return {"count": len(self._arrived), "seconds": took, "silent": silent, "lost": lost}

    def _send(self, port: int, request: bytes) -> int:
        stream = socket.create_connection(("127.0.0.1", port), 20)
        fd = stream.fileno()
        self._sockets[fd] = stream
        self._received[fd] = bytearray()
        self.loop.add(fd, partial(self._read, stream))
        stream.sendall(request)
        return fd

    def _closed_early(self) -> list[int]:
        return [fd for fd in self._ends if fd not in self._arrived]

    def _forget(self, fd: int) -> None:
        self._ends.discard(fd)
        del self._received[fd]
        self._sockets.pop(fd).close()

    def _text(self, fd: int) -> str:
        return bytes(self._received[fd][:600]).decode("utf-8", "replace") or "nothing"

    def expect(self, text: str) -> dict[str, Any]:
        """Start to record when each stream sends this text."""
        self._awaited, self._arrived = text.encode(), {}
        for received in self._received.values():
            received.clear()
        return {}

    def wait_for_all(self, begun: float) -> dict[str, Any]:
        """Wait until all streams sent it; times in ms after `begun`."""
        self.loop.until(lambda: len(self._arrived.keys() | self._ends) >= len(self._received), TIMEOUT_S)
        times = [(at - begun) * 1000 for at in self._arrived.values()] or [0.0]
        return {"count": len(self._arrived), "p50": percentile(times, 50), "p99": percentile(times, 99)}

    def idle(self, seconds: float) -> dict[str, Any]:
        """Keep the streams open for `seconds`."""
        ends = time.perf_counter() + seconds
        self.loop.until(lambda: time.perf_counter() >= ends, seconds + 1)
        return {"ended": len(self._ends)}

    def _read(self, stream: socket.socket) -> None:
        fd = stream.fileno()
        try:
            piece = stream.recv(65_536)
        except OSError:
            piece = b""
        if not piece:
            self._ends.add(fd)
            self.loop.remove(fd)
            return
        received = self._received[fd]
        received += piece
        if fd not in self._arrived and self._awaited in received:
            self._arrived[fd] = time.perf_counter()


def main() -> None:
    """Execute commands until stdin ends."""
    loop = Loop()
    streams = Streams(loop)
    run_commands(loop, {name: getattr(streams, name) for name in ("open", "expect", "wait_for_all", "idle")})


if __name__ == "__main__":
    main()
