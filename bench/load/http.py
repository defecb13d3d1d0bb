"""`python -m bench.load.http`: clients that each repeat one request over a kept-alive connection."""

from __future__ import annotations

import socket
import time
from collections.abc import Callable, Sequence
from itertools import cycle
from typing import Any

from bench.figures import percentile
from bench.load.loop import Loop, run_commands

Answered = Callable[[int, bytes], None]


def request_text(method: str, path: str, body: str = "", key: str | None = None) -> bytes:
    """A complete HTTP request."""
    lines = [f"{method} {path} HTTP/1.1", "Host: 127.0.0.1", "Accept: application/json"]
    if key:
        lines.append(f"Authorization: Bearer {key}")
    if body:
        lines += ["Content-Type: application/json", f"Content-Length: {len(body.encode())}"]
    return ("\r\n".join(lines) + "\r\n\r\n" + body).encode()


class Caller:
    """One connection with one request at a time; calls `answered(status, body)` with the response."""

    def __init__(self, loop: Loop, port: int) -> None:
        self._loop, self._port = loop, port
        self._answered: Answered | None = None
        self._buffer = bytearray()
        self._whole = 0
        self._connect()

    def send(self, request: bytes, answered: Answered) -> None:
        """Send a request. Reconnects once if the server has closed the idle connection."""
        self._answered = answered
        self._buffer.clear()
        self._whole = 0
        try:
            self._socket.sendall(request)
        except OSError:
            self.close()
            self._connect()
            self._socket.sendall(request)

    def close(self) -> None:
        """Close the connection."""
        self._loop.remove(self._socket.fileno())
        self._socket.close()

    def _connect(self) -> None:
        self._socket = socket.create_connection(("127.0.0.1", self._port), 10)
        self._socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self._loop.add(self._socket.fileno(), self._read)

    def _read(self) -> None:
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
        self._buffer += piece
        if not self._whole:
            end = self._buffer.find(b"\r\n\r\n")
            if end < 0:
                return
            self._whole = end + 4 + _length(bytes(self._buffer[:end]))
            self._body_at = end + 4
        if len(self._buffer) >= self._whole and self._answered is not None:
            answered, self._answered = self._answered, None
            answered(int(self._buffer[9:12]), bytes(self._buffer[self._body_at : self._whole]))


def _length(head: bytes) -> int:
    name = b"\r\ncontent-length:"
    at = head.lower().find(name)
    return 0 if at < 0 else int(head[at + len(name) :].split(b"\r\n", 1)[0])


class ClientPool:
    """Clients that send requests without a pause."""

    def __init__(self, loop: Loop) -> None:
        self._loop = loop
        self._callers: list[Caller] = []
        self._requests: list[bytes] = []
        self._ends = 0.0
        self._busy = 0
        self._times: list[float] = []
        self._refused: dict[int, int] = {}

    def open(self, port: int, clients: int, requests: Sequence[str]) -> dict[str, Any]:
        """Connect, and send one request each: `requests` are assigned to the clients in turn."""
        self.close()
        self._callers = [Caller(self._loop, port) for _ in range(clients)]
        self._requests = [request.encode() for request, _ in zip(cycle(requests), self._callers, strict=False)]
        return self.run(0.0)

    def run(self, seconds: float) -> dict[str, Any]:
        """Send requests for `seconds`; times in ms."""
        self._times, self._refused = [], {}
        begun = time.perf_counter()
        self._ends = begun + seconds
        self._busy = len(self._callers)
        cpu = time.process_time()
        for caller, request in zip(self._callers, self._requests, strict=True):
            self._send(caller, request)
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
        """Close all connections."""
        for caller in self._callers:
            caller.close()
        self._callers = []
        return {}

    def _send(self, caller: Caller, request: bytes) -> None:
        sent_at = time.perf_counter()

        def answered(status: int, _: bytes) -> None:
            now = time.perf_counter()
            if status == 200:
                self._times.append((now - sent_at) * 1000)
            else:
                self._refused[status] = self._refused.get(status, 0) + 1
            if now < self._ends:
                self._send(caller, request)
            else:
                self._busy -= 1

        caller.send(request, answered)


def main() -> None:
    """Execute commands until stdin ends."""
    loop = Loop()
    pool = ClientPool(loop)
    run_commands(loop, {"open": pool.open, "run": pool.run, "close": pool.close})


if __name__ == "__main__":
    main()
