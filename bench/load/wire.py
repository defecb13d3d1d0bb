"""A WebSocket seen from the client's side, on a socket that never waits."""

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
    """One frame from a client. Its mask is of zeros, which is allowed and costs nothing."""
    size = len(content)
    if size < 126:
        head = struct.pack("!BB", 0x80 | opcode, 0x80 | size)
    elif size < 65_536:
        head = struct.pack("!BBH", 0x80 | opcode, 0x80 | 126, size)
    else:
        head = struct.pack("!BBQ", 0x80 | opcode, 0x80 | 127, size)
    return head + b"\0\0\0\0" + content


class Peer:
    """Connects, shakes hands, answers pings; `heard` gets each text, `opened` is called once it may be spoken to."""

    def __init__(
        self,
        loop: Loop,
        port: int,
        path: str,
        heard: Callable[[str], None],
        opened: Callable[[], None] = lambda: None,
        source: str = "127.0.0.1",
    ) -> None:
        self._loop, self._heard, self._opened = loop, heard, opened
        self._said = b""
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
        loop.add(self._socket.fileno(), self._shake_hands, writing=True)

    def say(self, text: str) -> None:
        """One message."""
        self._send(frame(TEXT, text.encode()))

    def close(self) -> None:
        """Be gone, without a word."""
        if not self.closed:
            self.closed = True
            self.is_open = False
            self._loop.remove(self._socket.fileno())
            self._socket.close()

    def _send(self, data: bytes) -> None:
        # what is sent here is small, and read at once: a full buffer is a server that has stopped
        with contextlib.suppress(OSError):
            self._socket.sendall(data)

    def _shake_hands(self) -> None:
        self._loop.read_now(self._socket.fileno(), self._hear)
        self._send(HANDSHAKE.format(path=self._path).encode())

    def _hear(self) -> None:
        try:
            piece = self._socket.recv(65_536)
        except OSError:
            piece = b""
        if not piece:
            self.close()
            return
        self._said += piece
        if not self.is_open and not self._upgraded():
            return
        while self._take_frame():
            pass

    def _upgraded(self) -> bool:
        head, end, rest = self._said.partition(b"\r\n\r\n")
        if not end:
            return False
        if b" 101 " not in head.split(b"\r\n", 1)[0]:
            self.close()
            return False
        self._said = rest
        self.is_open = True
        self._opened()
        return True

    def _take_frame(self) -> bool:
        said = self._said
        if len(said) < 2:
            return False
        size, begin = said[1] & 0x7F, 2
        if size == 126:
            size, begin = int.from_bytes(said[2:4], "big"), 4
        elif size == 127:
            size, begin = int.from_bytes(said[2:10], "big"), 10
        if len(said) < begin + size:
            return False
        self._said = said[begin + size :]
        self._act(said[0] & 0x0F, said[begin : begin + size])
        return not self.closed

    def _act(self, opcode: int, content: bytes) -> None:
        if opcode == PING:
            self._send(frame(PONG, content))
        elif opcode == CLOSE:
            self.close()
        elif opcode == TEXT:
            self._heard(content.decode())
