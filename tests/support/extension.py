"""A scripted extension that sends the contract's messages and any others."""

from __future__ import annotations

import base64
import contextlib
import json
import socket
import threading
import urllib.request
from collections.abc import Callable
from types import TracebackType
from typing import Any, Self

import websocket

from tests.support.waiting import until

Json = dict[str, Any]


class Extension:
    """One socket. Messages are kept in `received` in order; nothing is answered automatically."""

    def __init__(self, url: str, extension_id: str, *capabilities: str, **options: Any) -> None:
        self.id = extension_id
        self.authentication: Json = {
            "type": "authenticate",
            "extensionId": extension_id,
            "metadata": {"version": "1.0.0", "capabilities": list(capabilities)},
        }
        self.authentication["metadata"].update(options.pop("metadata", {}))
        self.authentication.update(options)
        self.received: list[Json] = []
        self.authentication_success: Json = {}
        self.close_code: int | None = None
        self._changed = threading.Condition()
        self._socket = websocket.create_connection(url, timeout=30)
        self._reader = threading.Thread(target=self._read, daemon=True)
        self._reader.start()

    def __enter__(self) -> Self:
        self.authenticate()
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self.disconnect()

    def authenticate(self) -> Json:
        """Authenticate and return the server's response."""
        self.send(self.authentication)
        self.authentication_success = self.receive("authentication_success")
        return self.authentication_success

    def send(self, message: Json | str) -> None:
        """Send a message, or any text."""
        self._socket.send(message if isinstance(message, str) else json.dumps(message))

    def send_bytes(self, data: bytes) -> None:
        """Send a binary frame."""
        self._socket.send_binary(data)

    def receive(self, kind: str, where: Callable[[Json], bool] = lambda message: True, timeout_s: float = 20.0) -> Json:
        """Take the next message of that type for which `where` holds; those before it stay in `received`."""

        def find() -> Json | None:
            return next((m for m in self.received if m["type"] == kind and where(m)), None)

        with self._changed:
            found = self._changed.wait_for(find, timeout_s)
            assert found, f"{self.id} received no {kind}, only {self.received}, close code {self.close_code}"
            self.received.remove(found)
            return found

    def next_job(self, timeout_s: float = 20.0) -> Json:
        """The next offered request."""
        return self.receive("generate_image", timeout_s=timeout_s)

    def done(self, job: Json, image_url: str, **more: Any) -> None:
        """Report a picture as in the contract."""
        self.send(
            {
                "type": "image_generated",
                "requestId": job["requestId"],
                "imageUrl": image_url,
                "metadata": {"model": job["model"], "prompt": job["prompt"], "width": 8, "height": 8},
                "correlationId": job["correlationId"],
                **more,
            }
        )

    def failed(self, job: Json, error: str, **more: Any) -> None:
        """Report a failure as in the contract."""
        base = {"type": "image_generation_failed", "requestId": job["requestId"], "error": error}
        self.send({**base, "correlationId": job["correlationId"], **more})

    def progress(self, job: Json, percent: int, status: str = "Generating image...", **more: Any) -> None:
        """Report progress as in the contract."""
        base = {"type": "image_generation_progress", "requestId": job["requestId"], "progress": percent}
        self.send({**base, "status": status, "correlationId": job["correlationId"], **more})

    def preview(self, job: Json, percent: int, data: bytes, position: int = 0) -> None:
        """Report progress with a preview."""
        preview = {"mimeType": "image/png", "data": base64.b64encode(data).decode(), "position": position}
        self.progress(job, percent, preview=preview)

    def send_heartbeat(self, *, available: bool = True, active: int = 0, **more: Any) -> None:
        """Send a heartbeat as in the contract."""
        status = {"available": available, "queueSize": 0, "activeRequests": active}
        self.send({"type": "heartbeat", "extensionId": self.id, "status": status, **more})

    def upload(self, job: Json, data: bytes, position: int = 0) -> Json:
        """Upload a picture and return the response. Raises urllib.error.HTTPError."""
        target = job["upload"]
        request = urllib.request.Request(
            f"{target['url']}&position={position}", data, target["headers"], method=target["method"]
        )
        with urllib.request.urlopen(request, timeout=20) as answer:
            result: Json = json.load(answer)
            return result

    def closed(self, timeout_s: float = 20.0) -> int | None:
        """Wait until the server has closed the socket; return its close code."""
        until(lambda: not self._reader.is_alive(), timeout_s, f"the server to close the socket of {self.id}")
        return self.close_code

    def disconnect(self) -> None:
        """Close the TCP connection without a close frame, if the server has not closed it."""
        if self._socket.sock is not None:
            with contextlib.suppress(OSError):
                self._socket.sock.shutdown(socket.SHUT_RDWR)
        self._reader.join(5)
        self._socket.shutdown()  # type: ignore[no-untyped-call]

    def _read(self) -> None:
        while True:
            try:
                opcode, data = self._socket.recv_data()
            except (websocket.WebSocketException, OSError, ValueError):
                break
            if opcode == websocket.ABNF.OPCODE_CLOSE:
                self.close_code = int.from_bytes(data[:2], "big") if len(data) >= 2 else None
                break
            with self._changed:
                self.received.append(json.loads(data))
                self._changed.notify_all()
        with self._changed:
            self._changed.notify_all()
