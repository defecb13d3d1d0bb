"""One connection to the hostile server, and what a misbehaviour can do to it."""

from __future__ import annotations

import socket
import struct
import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Protocol

DRIP_S = 0.02


@dataclass(frozen=True)
class Request:
    """One received request; header names are in lower case."""

    method: str
    path: str
    headers: dict[str, str]


class ServerState(Protocol):
    """What a misbehaviour may know about the server."""

    closing: threading.Event
    requests: list[Request]

    def request_count(self, path: str) -> int:
        """How many requests for `path` have arrived."""


@dataclass
class Exchange:
    """One connection whose request has been read."""

    server: ServerState
    request: Request
    sock: socket.socket

    def send(self, data: bytes) -> None:
        """Send these bytes unchanged."""
        self.sock.sendall(data)

    def answer(self, content: bytes, *headers: str, status: str = "200 OK") -> None:
        """Send a well-formed response."""
        self.head(*headers, f"Content-Length: {len(content)}", status=status)
        self.send(content)

    def head(self, *headers: str, status: str = "200 OK") -> None:
        """Send the status line and headers without a body."""
        lines = [f"HTTP/1.1 {status}", "Content-Type: image/png", "Connection: close", *headers]
        self.send(("\r\n".join(lines) + "\r\n\r\n").encode())

    def redirect(self, location: str, status: str = "302 Found") -> None:
        """Send a redirect."""
        self.answer(b"", f"Location: {location}", status=status)

    def drip_intervals(self) -> Iterator[None]:
        """Yield every 20 ms until the server closes, to send a response bit by bit."""
        while not self.server.closing.wait(DRIP_S):
            yield

    def reset(self) -> None:
        """End with RST in place of FIN."""
        self.sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self.sock.close()


Behaviour = Callable[[Exchange], None]
