"""An HTTP server that misbehaves on purpose, with one named misbehaviour for each path.

    with HostileServer() as server:
        server.serve("/a.png", png, "image/png")
        fetch(server.url("a.png"))
        fetch(server.url("drip-body"))
        assert server.requests[0].path == "/a.png"

It writes raw bytes to raw sockets, because a server library would refuse to send most of this. `HostileServer(tls=True)`
serves TLS as `localhost`, `images.test` and 127.0.0.1 with the self-signed certificate in `hostile_server.pem`;
`HostileServer(silent=True)` accepts connections and never sends anything.
"""

from __future__ import annotations

import contextlib
import socket
import ssl
import threading
from dataclasses import dataclass, field
from pathlib import Path
from types import TracebackType
from typing import Self

from tests.support.exchange import Behaviour, Exchange, Request
from tests.support.misbehaviours import BEHAVIOURS

CERTIFICATE = Path(__file__).with_name("hostile_server.pem")


@dataclass
class HostileServer:
    """Listens on a free port of 127.0.0.1 while used in a `with`."""

    tls: bool = False
    silent: bool = False
    requests: list[Request] = field(default_factory=list)
    closing: threading.Event = field(default_factory=threading.Event)
    _served: dict[str, Behaviour] = field(default_factory=dict)
    _open: set[socket.socket] = field(default_factory=set)
    _lock: threading.Lock = field(default_factory=threading.Lock)

    def __enter__(self) -> Self:
        self._listener = socket.create_server(("127.0.0.1", 0), backlog=128)
        self.port: int = self._listener.getsockname()[1]
        threading.Thread(target=self._accept, name="hostile-server", daemon=True).start()
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self.closing.set()
        with self._lock:
            for sock in (self._listener, *self._open):
                with contextlib.suppress(OSError):
                    sock.shutdown(socket.SHUT_RDWR)
        self._listener.close()

    def url(self, name: str, *, host: str = "127.0.0.1") -> str:
        """The URL of a misbehaviour, or of a path that `serve` or `behave` added."""
        return f"{'https' if self.tls else 'http'}://{host}:{self.port}/{name.lstrip('/')}"

    def serve(
        self,
        path: str,
        content: bytes,
        content_type: str = "image/png",
        *,
        status: str = "200 OK",
        times: int | None = None,
    ) -> str:
        """Answer `path` correctly with this content, `times` times and 500 afterwards (None: always). Returns its URL."""

        def respond(exchange: Exchange) -> None:
            if times is not None and self.request_count(path) > times:
                return exchange.answer(b"", status="500 Internal Server Error")
            head = f"HTTP/1.1 {status}\r\nContent-Type: {content_type}\r\nContent-Length: {len(content)}\r\n"
            return exchange.send(head.encode() + b"Connection: close\r\n\r\n" + content)

        return self.behave(path, respond)

    def behave(self, path: str, behaviour: Behaviour) -> str:
        """Answer `path` with this behaviour. Returns its URL."""
        self._served["/" + path.lstrip("/")] = behaviour
        return self.url(path)

    def request_count(self, path: str) -> int:
        """How many requests for `path` have arrived, with any query."""
        with self._lock:
            return sum(request.path.partition("?")[0] == "/" + path.lstrip("/") for request in self.requests)

    def _accept(self) -> None:
        while not self.closing.is_set():
            try:
                sock, _ = self._listener.accept()
            except OSError:
                return
            with self._lock:
                self._open.add(sock)
            threading.Thread(target=self._handle, args=(sock,), name="hostile-exchange", daemon=True).start()

    def _handle(self, sock: socket.socket) -> None:
        try:
            with contextlib.suppress(OSError, ValueError):
                self._respond(sock)
        finally:
            with self._lock:
                self._open.discard(sock)
            sock.close()

    def _respond(self, sock: socket.socket) -> None:
        if self.silent:
            self.closing.wait()
            return
        with self._with_tls(sock) as wire:
            request = _read_request(wire)
            with self._lock:
                self.requests.append(request)
            path = request.path.partition("?")[0]
            chosen = self._served.get(path) or BEHAVIOURS.get(path.lstrip("/"), _not_found)
            chosen(Exchange(self, request, wire))

    def _with_tls(self, sock: socket.socket) -> socket.socket:
        if not self.tls:
            return sock
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(CERTIFICATE)
        return context.wrap_socket(sock, server_side=True)


def client_tls_context() -> ssl.SSLContext:
    """The TLS context of a client that trusts `HostileServer(tls=True)`."""
    return ssl.create_default_context(cafile=str(CERTIFICATE))


def _read_request(sock: socket.socket) -> Request:
    reader = sock.makefile("rb")
    method, path, _ = reader.readline().decode("latin-1").split(" ")
    headers = {}
    while (line := reader.readline().decode("latin-1").strip()) != "":
        name, _, value = line.partition(":")
        headers[name.lower()] = value.strip()
    return Request(method, path, headers)


def _not_found(exchange: Exchange) -> None:
    exchange.answer(b"not here", status="404 Not Found")
