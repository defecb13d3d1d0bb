"""`python -m bench.load.http`: clients that each ask one thing again and again, over a connection that they keep."""

from __future__ import annotations

import socket
import time
from collections.abc import Callable, Sequence
from itertools import cycle
from typing import Any

from bench.figures import percentile
from bench.load.loop import Loop, obey

Answered = Callable[[int, bytes], None]


def request_text(method: str, path: str, body: str = "", key: str | None = None) -> bytes:
    """A whole request, ready to be sent."""
    lines = [f"{method} {path} HTTP/1.1", "Host: 127.0.0.1", "Accept: application/json"]
    if key:
        lines.append(f"Authorization: Bearer {key}")
    if body:
        lines += ["Content-Type: application/json", f"Content-Length: {len(body.encode())}"]
    return ("\r\n".join(lines) + "\r\n\r\n" + body).encode()


class Caller:
    """One connection: one request at a time, answered to `answered(status, body)`."""

    def __init__(self, loop: Loop, port: int) -> None:
        self._loop, self._port = loop, port
        self._answered: Answered | None = None
        self._said = bytearray()
        self._whole = 0
        self._connect()

    def ask(self, request: bytes, answered: Answered) -> None:
        """Send it. A server may have closed what it kept open: then once more."""
        self._answered = answered
        self._said.clear()
        self._whole = 0
        try:
            self._socket.sendall(request)
        except OSError:
            self.close()
            self._connect()
            self._socket.sendall(request)

    def close(self) -> None:
        """No more."""
        self._loop.remove(self._socket.fileno())
        self._socket.close()

    def _connect(self) -> None:
        self._socket = socket.create_connection(("127.0.0.1", self._port), 10)
        self._socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self._loop.add(self._socket.fileno(), self._hear)

    def _hear(self) -> None:
        try:
            piece = self._socket.recv(65_536)
        except OSError:
            piece = b""
        if not piece:
            self.close()
            answered, self._answered = self._answered, None
            self._connect()
            if answered is not None:
                answered(0, b"")
            return
        self._said += piece
        if not self._whole:
            end = self._said.find(b"\r\n\r\n")
            if end < 0:
                return
            self._whole = end + 4 + _length(bytes(self._said[:end]))
            self._body_at = end + 4
        if len(self._said) >= self._whole and self._answered is not None:
            answered, self._answered = self._answered, None
            answered(int(self._said[9:12]), bytes(self._said[self._body_at : self._whole]))


def _length(head: bytes) -> int:
    name = b"\r\ncontent-length:"
    at = head.lower().find(name)
    return 0 if at < 0 else int(head[at + len(name) :].split(b"\r\n", 1)[0])


class Crowd:
    """Some callers that never rest."""

    def __init__(self, loop: Loop) -> None:
        self._loop = loop
        self._callers: list[Caller] = []
        self._requests: list[bytes] = []
        self._ends = 0.0
        self._busy = 0
        self._times: list[float] = []
        self._refused: dict[int, int] = {}

    def open(self, port: int, clients: int, requests: Sequence[str]) -> dict[str, Any]:
        """Connect, and ask once each: `requests` are dealt to the clients, over and over where there are fewer."""
        self.close()
        self._callers = [Caller(self._loop, port) for _ in range(clients)]
        self._requests = [request.encode() for request, _ in zip(cycle(requests), self._callers, strict=False)]
        return self.run(0.0)

    def run(self, seconds: float) -> dict[str, Any]:
        """Ask for so long; times in ms."""
        self._times, self._refused = [], {}
        begun = time.perf_counter()
        self._ends = begun + seconds
        self._busy = len(self._callers)
        cpu = time.process_time()
        for caller, request in zip(self._callers, self._requests, strict=True):
            self._ask(caller, request)
        self._loop.until(lambda: self._busy == 0, seconds + 30)
        took = time.perf_counter() - begun
        return {
            "count": len(self._times),
            "seconds": took,
            "p50": percentile(self._times, 50) if self._times else 0.0,
            "p99": percentile(self._times, 99) if self._times else 0.0,
            "refused": {str(status): count for status, count in self._refused.items()},
            "cpu": time.process_time() - cpu,
        }

    def close(self) -> dict[str, Any]:
        """Hang up."""
        for caller in self._callers:
            caller.close()
        self._callers = []
        return {}

    def _ask(self, caller: Caller, request: bytes) -> None:
        asked = time.perf_counter()

        def answered(status: int, _: bytes) -> None:
            now = time.perf_counter()
            if status == 200:
                self._times.append((now - asked) * 1000)
            else:
                self._refused[status] = self._refused.get(status, 0) + 1
            if now < self._ends:
                self._ask(caller, request)
            else:
                self._busy -= 1

        caller.ask(request, answered)


def main() -> None:
    """Until stdin ends."""
    loop = Loop()
    crowd = Crowd(loop)
    obey(loop, {"open": crowd.open, "run": crowd.run, "close": crowd.close})


if __name__ == "__main__":
    main()
