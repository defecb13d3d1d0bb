"""A WebSocket client for one thread. It answers pings; every end of the connection raises the same exception."""

from __future__ import annotations

import contextlib
import json
import select
import socket
from collections.abc import Iterator
from typing import Any

import websocket

Json = dict[str, Any]
IO_S = 5.0


class Disconnected(Exception):
    """The connection has ended, on either side."""


class Socket:
    """One WebSocket."""

    def __init__(self, url: str) -> None:
        """Raises Disconnected if the server does not answer."""
        with _ends():
            self._socket = websocket.create_connection(url, timeout=IO_S)
        assert self._socket.sock is not None
        self._plain = self._socket.sock

    def send(self, message: Json | str | bytes) -> None:
        """Send a message, or arbitrary data. Raises Disconnected."""
        with _ends():
            if isinstance(message, bytes):
                self._socket.send_binary(message)
            else:
                self._socket.send(message if isinstance(message, str) else json.dumps(message))

    def receive(self, timeout_s: float) -> Json | None:
        """The next message; None if none arrived in time. Raises Disconnected."""
        with _ends():
            readable, _, _ = select.select([self._plain], [], [], timeout_s)
            if not readable:
                return None
            opcode, data = self._socket.recv_data(control_frame=True)
        if opcode == websocket.ABNF.OPCODE_CLOSE:
            raise Disconnected
        return json.loads(data) if opcode == websocket.ABNF.OPCODE_TEXT else None

    def drop(self) -> None:
        """Drop the connection without closing it."""
        with contextlib.suppress(OSError):
            self._plain.shutdown(socket.SHUT_RDWR)
        self._plain.close()


@contextlib.contextmanager
def _ends() -> Iterator[None]:
    try:
        yield
    except (OSError, ValueError, websocket.WebSocketException) as problem:
        raise Disconnected from problem
