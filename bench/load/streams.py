"""`python -m bench.load.streams`: many who follow requests live."""

from __future__ import annotations

import socket
import time
from functools import partial
from typing import Any

from bench.figures import percentile
from bench.load.http import request_text
from bench.load.loop import Loop, obey

PATIENCE_S = 60.0
AT_ONCE = 10


class Streams:
    """Server-Sent Events, as they come."""

    def __init__(self, loop: Loop) -> None:
        self.loop = loop
        self._said: dict[int, bytearray] = {}
        self._sockets: list[socket.socket] = []
        self._ended = 0
        self._awaited = b"\n\nid: "
        self._arrived: dict[int, float] = {}

    def open(self, port: int, ids: list[str], count: int, key: str) -> dict[str, Any]:
        """So many streams of these requests; each has told what happened so far."""
        begun = time.perf_counter()
        self._awaited, self._arrived = b"event: ImageGenerationAssigned", {}
        for number in range(count):
            path = f"/api/images/{ids[number % len(ids)]}/events"
            stream = socket.create_connection(("127.0.0.1", port), 20)
            self._sockets.append(stream)
            self._said[stream.fileno()] = bytearray()
            self.loop.add(stream.fileno(), partial(self._hear, stream))
            stream.sendall(request_text("GET", path, key=key))
            self.loop.until(lambda number=number: len(self._arrived) + AT_ONCE > number, PATIENCE_S)  # type: ignore[misc]
        self.loop.until(lambda: len(self._arrived) >= count, PATIENCE_S)
        silent = [bytes(said[:300]).decode() for fd, said in self._said.items() if fd not in self._arrived]
        return {"count": len(self._arrived), "seconds": time.perf_counter() - begun, "silent": silent[:2]}

    def expect(self, text: str) -> dict[str, Any]:
        """From now on note when each stream has told this."""
        self._awaited, self._arrived = text.encode(), {}
        for said in self._said.values():
            said.clear()
        return {}

    def told(self, begun: float) -> dict[str, Any]:
        """Wait until all have; times in ms after `begun`."""
        self.loop.until(lambda: len(self._arrived) + self._ended >= len(self._said), PATIENCE_S)
        times = [(at - begun) * 1000 for at in self._arrived.values()] or [0.0]
        return {"count": len(self._arrived), "p50": percentile(times, 50), "p99": percentile(times, 99)}

    def idle(self, seconds: float) -> dict[str, Any]:
        """Listen."""
        ends = time.perf_counter() + seconds
        self.loop.until(lambda: time.perf_counter() >= ends, seconds + 1)
        return {"ended": self._ended}

    def _hear(self, stream: socket.socket) -> None:
        fd = stream.fileno()
        try:
            piece = stream.recv(65_536)
        except OSError:
            piece = b""
        if not piece:
            self._ended += 1
            self.loop.remove(fd)
            return
        said = self._said[fd]
        said += piece
        if fd not in self._arrived and self._awaited in said:
            self._arrived[fd] = time.perf_counter()


def main() -> None:
    """Until stdin ends."""
    loop = Loop()
    streams = Streams(loop)
    obey(loop, {name: getattr(streams, name) for name in ("open", "expect", "told", "idle")})


if __name__ == "__main__":
    main()
