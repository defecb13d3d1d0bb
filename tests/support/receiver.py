"""A receiver of webhooks on this machine: a web server that records what is sent to it."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

from tests.support.fakes import Sent


@dataclass
class HttpReceiver:
    """`answers` maps each path to a status, others get 204; requests to `/hang` are answered when it closes."""

    url: str = ""
    received: list[Sent] = field(default_factory=list)
    arrived_at: list[float] = field(default_factory=list)
    answers: dict[str, int] = field(default_factory=dict)
    headers: Mapping[str, str] = field(default_factory=dict)
    body: bytes = b""
    hanging: int = 0
    closing: threading.Event = field(default_factory=threading.Event)

    def of(self, request_id: str) -> list[Any]:
        """The events of one request, in the order in which they arrived."""
        return [each.json for each in self.received if each.json["data"].get("requestId") == request_id]


class _Server(ThreadingHTTPServer):
    daemon_threads = True
    request_queue_size = 512


@contextmanager
def receiving() -> Iterator[HttpReceiver]:
    """Receive on a free port of 127.0.0.1."""
    receiver = HttpReceiver()

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["Content-Length"]))
            if self.path.startswith("/hang"):
                receiver.hanging += 1
                receiver.closing.wait()
                return
            receiver.arrived_at.append(time.time())
            receiver.received.append(Sent(self.path, body, dict(self.headers)))
            self.send_response(receiver.answers.get(self.path, 204))
            for name, value in receiver.headers.items():
                self.send_header(name, value)
            self.send_header("Content-Length", str(len(receiver.body)))
            self.end_headers()
            self.wfile.write(receiver.body)

        do_GET = do_POST  # noqa: N815 - the name that the server calls

        def log_message(self, *_: object) -> None:
            pass

    with _Server(("127.0.0.1", 0), Handler) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        receiver.url = f"http://127.0.0.1:{server.server_address[1]}"
        try:
            yield receiver
        finally:
            receiver.closing.set()
            server.shutdown()
