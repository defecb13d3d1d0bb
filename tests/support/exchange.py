"""One connection to the hostile host, and the words a misbehaviour has for what it does to it."""

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
    """One request as it came in; header names in lower case."""

    method: str
    path: str
    headers: dict[str, str]


class Host(Protocol):
    """What a misbehaviour may know of the host."""

    closing: threading.Event
    requests: list[Request]

    def times_asked(self, path: str) -> int:
        """How often `path` was requested."""


@dataclass
class Exchange:
    """One connection whose request has been read."""

    host: Host
    request: Request
    sock: socket.socket

    def send(self, data: bytes) -> None:
        """All of it, as it is."""
        self.sock.sendall(data)

    def answer(self, content: bytes, *headers: str, status: str = "200 OK") -> None:
        """A well-formed answer."""
        self.head(*headers, f"Content-Length: {len(content)}", status=status)
        self.send(content)

    def head(self, *headers: str, status: str = "200 OK") -> None:
        """Status line and headers alone."""
        lines = [f"HTTP/1.1 {status}", "Content-Type: image/png", "Connection: close", *headers]
        self.send(("\r\n".join(lines) + "\r\n\r\n").encode())

    def redirect(self, location: str, status: str = "302 Found") -> None:
        """On to somewhere else."""
        self.answer(b"", f"Location: {location}", status=status)

    def beats(self) -> Iterator[None]:
        """One beat now and then, until the host closes."""
        while not self.host.closing.wait(DRIP_S):
            yield

    def reset(self) -> None:
        """End with RST in place of FIN."""
        self.sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self.sock.close()


Behaviour = Callable[[Exchange], None]
