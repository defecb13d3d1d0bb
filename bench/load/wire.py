"""A WebSocket client on a non-blocking socket."""

from __future__ import annotations

import contextlib
import errno
import os
import socket
import struct
from collections.abc import Callable

from bench.load.loop import Loop

TEXT, CLOSE, PING, PONG = 1, 8, 9, 10
HANDSHAKE = (
    "GET {path} HTTP/1.1\r\nHost: 127.0.0.1\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
    "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\n\r\n"
)


def frame(opcode: int, content: bytes) -> bytes:
    """One frame from a client. The mask is zeros, which is allowed and cheap."""
    size = len(content)
    if size < 126:
        head = struct.pack("!BB", 0x80 | opcode, 0x80 | size)
    elif size < 65_536:
        head = struct.pack("!BBH", 0x80 | opcode, 0x80 | 126, size)
    else:
        head = struct.pack("!BBQ", 0x80 | opcode, 0x80 | 127, size)
    return head + b"\0\0\0\0" + content


class Peer:
    """Connects and answers pings; calls `on_text` with each text, `on_open` once the handshake is done."""

    def __init__(
        self,
        loop: Loop,
        port: int,
        path: str,
        on_text: Callable[[str], None],
        on_open: Callable[[], None] = lambda: None,
        source: str = "127.0.0.1",
    ) -> None:
        self._loop, self._on_text, self._on_open = loop, on_text, on_open
        self._buffer = b""
        self._path = path
        self.is_open = False
        self.closed = False
        self._socket = socket.socket()
        self._socket.setblocking(False)
        self._socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self._socket.bind((source, 0))
        code = self._socket.connect_ex(("127.0.0.1", port))
        if code not in {0, errno.EINPROGRESS}:
            raise OSError(code, os.strerror(code))
        loop.add(self._socket.fileno(), self._start_handshake, writing=True)

    def send(self, text: str) -> None:
        """Send one message."""
        self._send(frame(TEXT, text.encode()))

    def close(self) -> None:
        """Close the connection without a closing handshake."""
        if not self.closed:
            self.closed = True
            self.is_open = False
            self._loop.remove(self._socket.fileno())
            self._socket.close()

    def _send(self, data: bytes) -> None:
        # messages are small and read at once: a full buffer means that the server has stopped
        with contextlib.suppress(OSError):
            self._socket.sendall(data)

    def _start_handshake(self) -> None:
        self._loop.read_now(self._socket.fileno(), self._read)
        self._send(HANDSHAKE.format(path=self._path).encode())

    def _read(self) -> None:
        try:
            piece = self._socket.recv(65_536)
        except OSError:
            piece = b""
        if not piece:
            self.close()
            return
        self._buffer += piece
        if not self.is_open and not self._upgraded():
            return
        while self._read_frame():
            pass

    def _upgraded(self) -> bool:
        head, end, rest = self._buffer.partition(b"\r\n\r\n")
        if not end:
            return False
        if b" 101 " not in head.split(b"\r\n", 1)[0]:
            self.close()
            return False
        self._buffer = rest
        self.is_open = True
        self._on_open()
        return True

    def _read_frame(self) -> bool:
        buffer = self._buffer
        if len(buffer) < 2:
            return False
        size, begin = buffer[1] & 0x7F, 2
        if size == 126:
            size, begin = int.from_bytes(buffer[2:4], "big"), 4
        elif size == 127:
            size, begin = int.from_bytes(buffer[2:10], "big"), 10
        if len(buffer) < begin + size:
            return False
        self._buffer = buffer[begin + size :]
        self._handle_frame(buffer[0] & 0x0F, buffer[begin : begin + size])
        return not self.closed

    def _handle_frame(self, opcode: int, content: bytes) -> None:
        if opcode == PING:
            self._send(frame(PONG, content))
        elif opcode == CLOSE:
            self.close()
        elif opcode == TEXT:
            self._on_text(content.decode())
