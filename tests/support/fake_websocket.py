"""A WebSocket of the server whose peer is simulated by the test."""

from __future__ import annotations

import threading
import time
from types import SimpleNamespace
from typing import Any

from wsproto.connection import ConnectionState

from app.hub.wire_socket import MessageTooLarge
from tests.support.waiting import until


class FakeWebSocket:
    """Replaces `simple_websocket.Server` on a `WireSocket`. `incoming` is what the peer sends, in order:

    "pong" is a pong, which is sent only after a ping, "close" is a close, "too large" is a message that is, and any other
    text is a message.
    """

    def __init__(self) -> None:
        self.connected = True
        self.pong_received = True
        self.input_buffer: list[str] = []
        self.sent: list[Any] = []
        self.incoming: list[str] = []
        self.closed = threading.Event()
        self.sock = SimpleNamespace(
            send=self.sent.append,
            read=self.read,
            close=self.closed.set,
            over_for_s=0.0,
            is_gone=False,
            received_at=time.monotonic(),
        )
        self.ws = SimpleNamespace(
            send=lambda event: type(event).__name__,
            receive_data=self.process,
            state=ConnectionState.OPEN,
            events=list,
        )

    def read(self, timeout_s: float) -> bytes | None:
        """The next of `incoming`; None at once if it is empty."""
        if self.incoming[:1] == ["pong"]:
            until(lambda: "Ping" in self.sent and not self.pong_received)
        return self.incoming.pop(0).encode() if self.incoming else None

    def process(self, data: bytes) -> None:
        """Process what was read, as the library does."""
        if data == b"pong":
            self.pong_received = True
        elif data == b"too large":
            raise MessageTooLarge("head")
        elif data == b"close":
            self.ws.state = ConnectionState.CLOSED
        else:
            self.input_buffer.append(data.decode())

    def _handle_events(self) -> bool:
        return self.ws.state is ConnectionState.OPEN

    def close(self, code: int, reason: str) -> None:
        """Send a close."""
        self.sent.append(code)
        self.connected = False
        self.ws.state = ConnectionState.LOCAL_CLOSING

    def send(self, text: str) -> None:
        """Send a message."""
        self.sent.append(text)
