"""The server's side of WebSocket connections, controlled by a test.

peer = server.sockets.next()
peer.send("authentication_required")
assert peer.receive("authenticate")["extensionId"] == "e1"
peer.close(1001)
"""

from __future__ import annotations

import contextlib
import json
import socket
import threading
from typing import Any

from simple_websocket import ConnectionClosed, Server

from tests.support.waiting import until

NOW = "2024-01-14T12:00:00.000Z"


class Peer:
    """One connection of an extension, seen from the server."""

    def __init__(self, environ: dict[str, Any]) -> None:
        self._wire = Server.accept(environ)
        self._raw: socket.socket = environ["werkzeug.socket"]
        self.received: list[dict[str, Any]] = []
        self.closed = threading.Event()
        self._taken = 0

    def send(self, kind: str, **fields: Any) -> None:
        """Send a message of the protocol; field names as on the wire."""
        self.send_text(json.dumps({"type": kind, "timestamp": NOW, **fields}))

    def send_text(self, text: str | bytes) -> None:
        """Send any text or bytes."""
        self._wire.send(text)

    def receive(self, kind: str, timeout_s: float = 10.0) -> dict[str, Any]:
        """Wait for the next message of this type; earlier ones of other types are skipped."""
        return until(lambda: self._take(kind), timeout_s, what=f"a message of the type {kind}") or {}

    def of_type(self, kind: str) -> list[dict[str, Any]]:
        """All messages of this type so far, also skipped ones."""
        return [message for message in list(self.received) if message["type"] == kind]

    def welcome(self, **fields: Any) -> dict[str, Any]:
        """Authenticate the extension; returns its `authenticate` message."""
        self.send("authentication_required")
        authentication = self.receive("authenticate")
        self.send("authentication_success", extensionId=authentication["extensionId"], **fields)
        return authentication

    def close(self, code: int = 1000, reason: str = "") -> None:
        """Close with a closing handshake."""
        with contextlib.suppress(ConnectionClosed, OSError):
            self._wire.close(code, reason)

    def cut(self) -> None:
        """Break the connection without a closing handshake."""
        with contextlib.suppress(OSError):
            self._raw.shutdown(socket.SHUT_RDWR)

    @property
    def close_code(self) -> int:
        """The code with which the extension closed."""
        return int(self._wire.close_reason)

    def listen(self) -> None:
        """Record messages until the connection ends."""
        try:
            while True:
                self.received.append(json.loads(self._wire.receive()))
        except (ConnectionClosed, OSError):
            pass
        finally:
            self.closed.set()

    def _take(self, kind: str) -> dict[str, Any] | None:
        while self._taken < len(self.received):
            self._taken += 1
            if self.received[self._taken - 1]["type"] == kind:
                return self.received[self._taken - 1]
        return None


class Sockets:
    """The accepted connections, in order."""

    def __init__(self) -> None:
        self.peers: list[Peer] = []
        self._taken = 0

    def serve(self, environ: dict[str, Any]) -> None:
        """Serve one connection until it ends."""
        peer = Peer(environ)
        self.peers.append(peer)
        peer.listen()
        peer.cut()  # a browser waits 2 s for the server to disconnect, and werkzeug would wait for another request

    def next(self, timeout_s: float = 10.0) -> Peer:
        """Wait for the next connection that was not returned before."""
        until(lambda: len(self.peers) > self._taken, timeout_s, what="another connection")
        self._taken += 1
        return self.peers[self._taken - 1]

    def close(self) -> None:
        """End all of them."""
        for peer in self.peers:
            peer.cut()
