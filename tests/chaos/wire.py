"""An extension's socket for one thread: messages when there are some, pongs by itself, every end the same exception."""

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


class Gone(Exception):
    """The connection is over, whoever ended it."""


class Wire:
    """One WebSocket."""

    def __init__(self, url: str) -> None:
        """Raises Gone where nobody answers."""
        with _ends():
            self._socket = websocket.create_connection(url, timeout=IO_S)
        assert self._socket.sock is not None
        self._plain = self._socket.sock

    def say(self, message: Json | str | bytes) -> None:
        """Send a message, or anything else. Raises Gone."""
        with _ends():
            if isinstance(message, bytes):
                self._socket.send_binary(message)
            else:
                self._socket.send(message if isinstance(message, str) else json.dumps(message))

    def hear(self, timeout_s: float) -> Json | None:
        """The next message; None where none came in time. Pings are answered. Raises Gone."""
        with _ends():
            readable, _, _ = select.select([self._plain], [], [], timeout_s)
            if not readable:
                return None
            opcode, data = self._socket.recv_data(control_frame=True)
        if opcode == websocket.ABNF.OPCODE_CLOSE:
            raise Gone
        return json.loads(data) if opcode == websocket.ABNF.OPCODE_TEXT else None

    def cut(self) -> None:
        """Be gone, without a word."""
        with contextlib.suppress(OSError):
            self._plain.shutdown(socket.SHUT_RDWR)
        self._plain.close()


@contextlib.contextmanager
def _ends() -> Iterator[None]:
    try:
        yield
    except (OSError, ValueError, websocket.WebSocketException) as problem:
        raise Gone from problem
