"""An HTTP server that misbehaves on purpose, one named misbehaviour a path.

    with HostileHost() as host:
        host.serve("/a.png", png, "image/png")
        fetch(host.url("a.png"))
        fetch(host.url("drip-body"))
        assert host.requests[0].path == "/a.png"

It writes raw bytes to raw sockets, because a decent server library could not say most of this. `HostileHost(tls=True)`
speaks TLS as `localhost`, `images.test` and 127.0.0.1 with the certificate in `hostile_host.pem`, which is its own root;
`HostileHost(silent=True)` accepts connections and never says a word.
"""

from __future__ import annotations

import contextlib
import gzip
import socket
import ssl
import struct
import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from types import TracebackType
from typing import Self

from tests.support.hostile_images import png

CERTIFICATE = Path(__file__).with_name("hostile_host.pem")
DRIP_S = 0.02


@dataclass(frozen=True)
class Request:
    """One request as it came in; header names in lower case."""

    method: str
    path: str
    headers: dict[str, str]


@dataclass
class Exchange:
    """One connection whose request has been read."""

    host: HostileHost
    request: Request
    sock: socket.socket

    def send(self, data: bytes) -> None:
        """All of it, as it is."""
        self.sock.sendall(data)

    def answer(self, content: bytes, *headers: str, status: str = "200 OK") -> None:
        """A well-formed answer."""
        self.head(*headers, f"Content-Length: {len(content)}", status=status)
        self.send(content)

    def head(self, *headers: str, status: str = "200 OK") -> None:
        """Status line and headers alone."""
        lines = [f"HTTP/1.1 {status}", "Content-Type: image/png", "Connection: close", *headers]
        self.send(("\r\n".join(lines) + "\r\n\r\n").encode())

    def redirect(self, location: str, status: str = "302 Found") -> None:
        """On to somewhere else."""
        self.answer(b"", f"Location: {location}", status=status)

    def beats(self) -> Iterator[None]:
        """One beat now and then, until the host closes."""
        while not self.host.closing.wait(DRIP_S):
            yield

    def reset(self) -> None:
        """End with RST in place of FIN."""
        self.sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self.sock.close()


Behaviour = Callable[[Exchange], None]
BEHAVIOURS: dict[str, Behaviour] = {}
IMAGE = png(8, 8)


def behaviour(name: str) -> Callable[[Behaviour], Behaviour]:
    """Serve the function under `/<name>`."""

    def keep(function: Behaviour) -> Behaviour:
        BEHAVIOURS[name] = function
        return function

    return keep


@dataclass
class HostileHost:
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
        threading.Thread(target=self._accept, name="hostile-host", daemon=True).start()
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self.closing.set()
        with self._lock:
            for sock in (self._listener, *self._open):
                with contextlib.suppress(OSError):
                    sock.shutdown(socket.SHUT_RDWR)
        self._listener.close()

    def url(self, name: str, *, host: str = "127.0.0.1") -> str:
        """The URL of a misbehaviour, or of what `serve` put there."""
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
        """Answer `path` decently with this, `times` times and 500 afterwards (None: always). Returns its URL."""

        def give(exchange: Exchange) -> None:
            if times is not None and self.times_asked(path) > times:
                return exchange.answer(b"", status="500 Internal Server Error")
            head = f"HTTP/1.1 {status}\r\nContent-Type: {content_type}\r\nContent-Length: {len(content)}\r\n"
            return exchange.send(head.encode() + b"Connection: close\r\n\r\n" + content)

        return self.behave(path, give)

    def behave(self, path: str, behaviour: Behaviour) -> str:
        """Answer `path` with a misbehaviour of one's own. Returns its URL."""
        self._served["/" + path.lstrip("/")] = behaviour
        return self.url(path)

    def times_asked(self, path: str) -> int:
        """How often `path` was asked for, whatever its query."""
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
            threading.Thread(target=self._attend, args=(sock,), name="hostile-exchange", daemon=True).start()

    def _attend(self, sock: socket.socket) -> None:
        try:
            with contextlib.suppress(OSError, ValueError):
                self._converse(sock)
        finally:
            with self._lock:
                self._open.discard(sock)
            sock.close()

    def _converse(self, sock: socket.socket) -> None:
        if self.silent:
            self.closing.wait()
            return
        with self._wrapped(sock) as wire:
            request = _read_request(wire)
            with self._lock:
                self.requests.append(request)
            path = request.path.partition("?")[0]
            chosen = self._served.get(path) or BEHAVIOURS.get(path.lstrip("/"), _not_found)
            chosen(Exchange(self, request, wire))

    def _wrapped(self, sock: socket.socket) -> socket.socket:
        if not self.tls:
            return sock
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(CERTIFICATE)
        return context.wrap_socket(sock, server_side=True)


def trusting_context() -> ssl.SSLContext:
    """What a client needs to trust `HostileHost(tls=True)`."""
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


@behaviour("ok")
def _ok(exchange: Exchange) -> None:
    exchange.answer(IMAGE)


@behaviour("ok-without-length")
def _ok_without_length(exchange: Exchange) -> None:
    exchange.head()
    exchange.send(IMAGE)


@behaviour("ok-chunked")
def _ok_chunked(exchange: Exchange) -> None:
    exchange.head("Transfer-Encoding: chunked")
    for piece in (IMAGE[:20], IMAGE[20:]):
        exchange.send(b"%x\r\n%b\r\n" % (len(piece), piece))
    exchange.send(b"0\r\n\r\n")


@behaviour("drip-body")
def _drip_body(exchange: Exchange) -> None:
    exchange.head("Content-Length: 100000")
    for _ in exchange.beats():
        exchange.send(b"x")


@behaviour("drip-body-without-length")
def _drip_body_without_length(exchange: Exchange) -> None:
    exchange.head()
    for _ in exchange.beats():
        exchange.send(b"x")


@behaviour("drip-chunks")
def _drip_chunks(exchange: Exchange) -> None:
    exchange.head("Transfer-Encoding: chunked")
    for _ in exchange.beats():
        exchange.send(b"1\r\nx\r\n")


@behaviour("drip-headers")
def _drip_headers(exchange: Exchange) -> None:
    exchange.send(b"HTTP/1.1 200 OK\r\nX-Slow: ")
    for _ in exchange.beats():
        exchange.send(b"x")


@behaviour("drip-interim")
def _drip_interim(exchange: Exchange) -> None:
    for _ in exchange.beats():
        exchange.send(b"HTTP/1.1 100 Continue\r\n\r\n")


@behaviour("stall-before-headers")
def _stall_before_headers(exchange: Exchange) -> None:
    exchange.host.closing.wait()


@behaviour("stall-in-body")
def _stall_in_body(exchange: Exchange) -> None:
    exchange.head("Content-Length: 100000")
    exchange.send(IMAGE)
    exchange.host.closing.wait()


@behaviour("reset-before-headers")
def _reset_before_headers(exchange: Exchange) -> None:
    exchange.reset()


@behaviour("reset-in-body")
def _reset_in_body(exchange: Exchange) -> None:
    exchange.head("Content-Length: 100000")
    exchange.send(IMAGE)
    exchange.reset()


@behaviour("hang-up")
def _hang_up(exchange: Exchange) -> None:
    """Closes without a word."""


@behaviour("short")
def _short(exchange: Exchange) -> None:
    exchange.head(f"Content-Length: {len(IMAGE) + 1}")
    exchange.send(IMAGE)


@behaviour("long")
def _long(exchange: Exchange) -> None:
    exchange.head(f"Content-Length: {len(IMAGE)}")
    exchange.send(IMAGE + b"<script>alert(1)</script>")


@behaviour("negative-length")
def _negative_length(exchange: Exchange) -> None:
    exchange.head("Content-Length: -5")
    exchange.send(IMAGE)


@behaviour("wordy-length")
def _wordy_length(exchange: Exchange) -> None:
    exchange.head("Content-Length: +7e3")
    exchange.send(IMAGE)


@behaviour("double-length")
def _double_length(exchange: Exchange) -> None:
    exchange.head(f"Content-Length: {len(IMAGE)}", "Content-Length: 5")
    exchange.send(IMAGE)


@behaviour("length-and-chunked")
def _length_and_chunked(exchange: Exchange) -> None:
    exchange.head("Content-Length: 5", "Transfer-Encoding: chunked")
    exchange.send(b"%x\r\n%b\r\n0\r\n\r\n" % (len(IMAGE), IMAGE))


@behaviour("chunked-cut")
def _chunked_cut(exchange: Exchange) -> None:
    exchange.head("Transfer-Encoding: chunked")
    exchange.send(b"%x\r\n%b" % (len(IMAGE), IMAGE[:20]))


@behaviour("chunked-without-end")
def _chunked_without_end(exchange: Exchange) -> None:
    exchange.head("Transfer-Encoding: chunked")
    exchange.send(b"%x\r\n%b\r\n" % (len(IMAGE), IMAGE))


@behaviour("chunked-negative")
def _chunked_negative(exchange: Exchange) -> None:
    exchange.head("Transfer-Encoding: chunked")
    exchange.send(b"-5\r\n" + IMAGE)


@behaviour("endless-chunked")
def _endless_chunked(exchange: Exchange) -> None:
    exchange.head("Transfer-Encoding: chunked")
    while not exchange.host.closing.is_set():
        exchange.send(b"10000\r\n" + b"x" * 65_536 + b"\r\n")


@behaviour("endless-body")
def _endless_body(exchange: Exchange) -> None:
    exchange.head()
    while not exchange.host.closing.is_set():
        exchange.send(b"x" * 65_536)


@behaviour("endless-header")
def _endless_header(exchange: Exchange) -> None:
    exchange.send(b"HTTP/1.1 200 OK\r\nX-Long: ")
    while not exchange.host.closing.is_set():
        exchange.send(b"x" * 65_536)


@behaviour("endless-headers")
def _endless_headers(exchange: Exchange) -> None:
    exchange.send(b"HTTP/1.1 200 OK\r\n")
    while not exchange.host.closing.is_set():
        exchange.send(b"X-More: 1\r\n" * 1000)


@behaviour("gzip")
def _gzip(exchange: Exchange) -> None:
    exchange.answer(gzip.compress(b"\0" * 1_000_000), "Content-Encoding: gzip")


@behaviour("double-gzip")
def _double_gzip(exchange: Exchange) -> None:
    exchange.answer(gzip.compress(gzip.compress(b"\0" * 1_000_000)), "Content-Encoding: gzip, gzip")


@behaviour("gzip-transfer")
def _gzip_transfer(exchange: Exchange) -> None:
    exchange.head("Transfer-Encoding: gzip, chunked")
    exchange.send(b"0\r\n\r\n")


@behaviour("not-http")
def _not_http(exchange: Exchange) -> None:
    exchange.send(b"SSH-2.0-OpenSSH_9.2\r\n")


@behaviour("status-999")
def _status_999(exchange: Exchange) -> None:
    exchange.answer(IMAGE, status="999 Whatever")


@behaviour("not-found-with-image")
def _not_found_with_image(exchange: Exchange) -> None:
    exchange.answer(IMAGE, status="404 Not Found")


@behaviour("partial")
def _partial(exchange: Exchange) -> None:
    exchange.answer(IMAGE[:20], f"Content-Range: bytes 0-19/{len(IMAGE)}", status="206 Partial Content")


@behaviour("no-content")
def _no_content(exchange: Exchange) -> None:
    exchange.head(status="204 No Content")


@behaviour("empty")
def _empty(exchange: Exchange) -> None:
    exchange.answer(b"")


@behaviour("fail-once")
def _fail_once(exchange: Exchange) -> None:
    if exchange.host.times_asked("fail-once") == 1:
        exchange.answer(b"", status="500 Internal Server Error")
    else:
        exchange.answer(IMAGE)


@behaviour("fail-always")
def _fail_always(exchange: Exchange) -> None:
    exchange.answer(IMAGE, status="503 Service Unavailable")


@behaviour("too-many-requests")
def _too_many_requests(exchange: Exchange) -> None:
    exchange.answer(b"", "Retry-After: 7", status="429 Too Many Requests")


@behaviour("busy-until-a-date")
def _busy_until_a_date(exchange: Exchange) -> None:
    exchange.answer(b"", "Retry-After: Sun, 14 Jan 2024 12:00:09 GMT", status="503 Service Unavailable")


@behaviour("request-timeout")
def _request_timeout(exchange: Exchange) -> None:
    exchange.answer(b"", "Retry-After: soon", status="408 Request Timeout")


@behaviour("redirect-to-ok")
def _redirect_to_ok(exchange: Exchange) -> None:
    exchange.redirect("/ok?signed=1#part")


@behaviour("redirect-loop")
def _redirect_loop(exchange: Exchange) -> None:
    exchange.redirect("/redirect-loop-back", "307 Temporary Redirect")


@behaviour("redirect-loop-back")
def _redirect_loop_back(exchange: Exchange) -> None:
    exchange.redirect("/redirect-loop", "308 Permanent Redirect")


@behaviour("redirect-for-ever")
def _redirect_for_ever(exchange: Exchange) -> None:
    exchange.redirect(f"/redirect-for-ever?{len(exchange.host.requests)}")


@behaviour("redirect-nowhere")
def _redirect_nowhere(exchange: Exchange) -> None:
    exchange.answer(IMAGE, status="302 Found")


@behaviour("redirect-endless-body")
def _redirect_endless_body(exchange: Exchange) -> None:
    exchange.head("Location: /ok", status="302 Found")
    while not exchange.host.closing.is_set():
        exchange.send(b"x" * 65_536)


@behaviour("redirect")
def _redirect(exchange: Exchange) -> None:
    """Leads to whatever stands after the question mark, as it is."""
    exchange.redirect(exchange.request.path.partition("?")[2])
