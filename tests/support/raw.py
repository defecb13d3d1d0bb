"""HTTP and WebSocket messages as raw bytes, for messages that no library would send."""

from __future__ import annotations

import contextlib
import os
import socket
from collections.abc import Iterator

KEY = "dGhlIHNhbXBsZSBub25jZQ=="
TEXT, BINARY, CLOSE, PING, PONG = 1, 2, 8, 9, 10


@contextlib.contextmanager
def connected(port: int, timeout_s: float = 30.0) -> Iterator[socket.socket]:
    """A TCP connection to a port of this machine."""
    with socket.create_connection(("127.0.0.1", port), timeout_s) as sock:
        yield sock


def answer_to(port: int, request: bytes) -> bytes:
    """Send `request`, which must ask for the connection to be closed, and return everything received until then."""
    with connected(port) as sock:
        sock.sendall(request)
        return until_closed(sock)


def get(target: str, *headers: str, host: str = "localhost") -> bytes:
    """A GET request; `target` and `headers` are sent unchanged, in Latin-1."""
    lines = [f"GET {target} HTTP/1.1", *([f"Host: {host}"] if host else []), "Connection: close", *headers]
    return ("\r\n".join(lines) + "\r\n\r\n").encode("latin-1")


def until_closed(sock: socket.socket) -> bytes:
    """Everything received until the peer closes or breaks the connection."""
    received = b""
    with contextlib.suppress(ConnectionError):
        while piece := sock.recv(65_536):
            received += piece
    return received


def shake_hands(sock: socket.socket, *headers: str, host: str = "localhost") -> bytes:
    """Send a WebSocket handshake; returns the head of the response."""
    upgrade = ("Upgrade: websocket", f"Sec-WebSocket-Key: {KEY}", "Sec-WebSocket-Version: 13")
    request = get("/ws", *upgrade, *headers, host=host or " ").replace(b"Connection: close", b"Connection: Upgrade")
    sock.sendall(request)
    head = b""
    while b"\r\n\r\n" not in head:
        piece = sock.recv(1)  # one byte at a time: the bytes after the head are frames
        if not piece:
            break
        head += piece
    return head


def frame(
    opcode: int, content: bytes = b"", *, fin: bool = True, masked: bool = True, claims: int | None = None
) -> bytes:
    """One frame (RFC 6455, section 5.2); `claims` is the length in its header, if not the real one."""
    length = len(content) if claims is None else claims
    size = length if length < 126 else 126 if length < 65_536 else 127
    extended = b"" if size < 126 else length.to_bytes(2 if size == 126 else 8, "big")
    head = bytes([(0x80 if fin else 0) | opcode, (0x80 if masked else 0) | size]) + extended
    if not masked:
        return head + content
    mask = os.urandom(4)
    return head + mask + bytes(byte ^ mask[at % 4] for at, byte in enumerate(content))
