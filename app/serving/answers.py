"""How an answer goes out: its head and the first of its body in one piece."""

from __future__ import annotations

import contextlib
from typing import Any


class AnswerSocket:
    """Stands where gunicorn expects the connection's socket, for one request.

    gunicorn hands over the head and then the body. To send each by itself is a way into the kernel and a packet more,
    which is a tenth of what a short answer costs.
    """

    __slots__ = ("_head", "_raw")

    def __init__(self, raw: Any) -> None:
        self._raw = raw
        self._head: bytes | None = b""  # None once it is gone

    def __getattr__(self, name: str) -> Any:
        """Whatever else a socket can do is done by the socket itself."""
        return getattr(self._raw, name)

    def sendall(self, data: bytes) -> None:
        """Send all of `data`; the first of it, which is the head, waits for what follows. Raises OSError."""
        if self._head is None:
            self._send(data)
        elif self._head:
            head, self._head = self._head, None
            self._send(head + data)
        else:
            self._head = data

    def sendfile(self, *args: Any, **more: Any) -> int:
        """As the socket's, behind the head. Raises OSError."""
        self.end()
        sent: int = self._raw.sendfile(*args, **more)
        return sent

    def end(self) -> None:
        """Nothing follows: a head that has no body leaves now. That nobody is there any more is found by who reads next."""
        if self._head:
            head, self._head = self._head, None
            with contextlib.suppress(OSError):
                self._send(head)

    def _send(self, data: bytes) -> None:
        # gevent's `sendall` asks the kernel first how much it takes at once; mostly that is all there is.
        sent = self._raw.send(data)
        if sent < len(data):
            self._raw.sendall(memoryview(data)[sent:])
