"""An HTTP and WebSocket server with scripted responses, which records its requests.

    with ScriptedServer() as server:
        server.on("GET", "/health", Reply({"status": "healthy"}))
        server.on("GET", "/flaky", CUT, Reply({}, status=503), Reply({"fine": True}))
        fetch(server.url + "/flaky")
        assert server.requests_to("GET", "/flaky")[0].headers["accept"] == "application/json"

The replies to a path are given in turn, the last of them again and again. Sockets are in `scripted_socket.py`.
"""

from __future__ import annotations

import contextlib
import json
import socket
import threading
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from types import TracebackType
from typing import Any, Self
from urllib.parse import parse_qsl

from werkzeug.serving import WSGIRequestHandler, make_server

from tests.support.ports import is_free
from tests.support.scripted_socket import Sockets
from tests.support.waiting import until


@dataclass(frozen=True)
class RecordedRequest:
    """A received request; header names are in lower case."""

    method: str
    path: str
    query: dict[str, str]
    headers: dict[str, str]
    body: bytes

    @property
    def json(self) -> Any:
        return json.loads(self.body)


@dataclass(frozen=True)
class Reply:
    """A response: an object is sent as JSON, bytes unchanged, pieces one by one. `cut` breaks the connection after the body."""

    body: Mapping[str, Any] | bytes | Iterable[bytes] = b""
    status: int = 200
    headers: Mapping[str, str] = field(default_factory=dict)
    cut: bool = False


Behaviour = Reply | Callable[[RecordedRequest], Reply]
CUT = Reply(cut=True, status=0)


def refusal(status: int, code: str, detail: str, **headers: str) -> Reply:
    """A problem response as the API documents it; `Retry_After="3"` becomes a header."""
    body = {"title": "Refused", "status": status, "code": code, "detail": detail, "error": detail}
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    return Reply(body, status, {"Content-Type": "application/problem+json", "X-Correlation-Id": "corr-0001", **named})


class ScriptedServer:
    """Listens on a free port of 127.0.0.1 while used in a `with`."""

    def __init__(self, port: int = 0) -> None:
        self.requests: list[RecordedRequest] = []
        self.sockets = Sockets()
        self.closing = threading.Event()
        self._replies: dict[tuple[str, str], list[Behaviour]] = {}
        self._lock = threading.Lock()
        if port:  # a process that was just started may still hold a copy of the previous listening socket
            until(lambda: is_free("127.0.0.1", port), what="the port to be free")
        self._server = make_server("127.0.0.1", port, self._app, threaded=True, request_handler=_Quiet)
        self._server.daemon_threads = True  # type: ignore[attr-defined]

    def __enter__(self) -> Self:
        threading.Thread(target=self._server.serve_forever, args=(0.02,), name="scripted-server", daemon=True).start()
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self.closing.set()
        self.sockets.close()
        self._server.shutdown()
        self._server.socket.close()

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self._server.port}"

    @property
    def ws_url(self) -> str:
        return f"ws://127.0.0.1:{self._server.port}/ws"

    def on(self, method: str, path: str, *replies: Behaviour) -> None:
        """Give these replies to requests for this path from now on."""
        with self._lock:
            self._replies[method, path] = list(replies)

    def requests_to(self, method: str, path: str) -> list[RecordedRequest]:
        """Every such request so far."""
        with self._lock:
            return [each for each in self.requests if (each.method, each.path) == (method, path)]

    def _app(self, environ: dict[str, Any], start_response: Callable[..., Any]) -> Iterable[bytes]:
        if environ["PATH_INFO"] == "/ws":
            self.sockets.serve(environ)
            raise ConnectionError  # tells werkzeug not to send a response
        request = _recorded(environ)
        behaviour = self._next(request)
        reply = behaviour if isinstance(behaviour, Reply) else behaviour(request)
        if reply.status == 0:
            _cut(environ)
            raise ConnectionError
        content_type = {"Content-Type": "application/json"} if isinstance(reply.body, Mapping) else {}
        start_response(f"{reply.status} Scripted", list({**content_type, **reply.headers}.items()))
        return self._body(reply, environ)

    def _next(self, request: RecordedRequest) -> Behaviour:
        with self._lock:
            self.requests.append(request)
            replies = self._replies.get((request.method, request.path))
            if not replies:
                return refusal(404, "ERR_NOT_FOUND", "Not found.")
            return replies.pop(0) if len(replies) > 1 else replies[0]

    def _body(self, reply: Reply, environ: dict[str, Any]) -> Iterator[bytes]:
        if isinstance(reply.body, Mapping):
            yield json.dumps(reply.body).encode()
        elif isinstance(reply.body, bytes):
            yield reply.body
        else:
            yield from reply.body
        if reply.cut:
            _cut(environ)


class _Quiet(WSGIRequestHandler):
    def log(self, type: str, message: str, *args: Any) -> None:  # noqa: A002 - werkzeug's name
        """Log nothing: tests look at `requests`."""


def _recorded(environ: dict[str, Any]) -> RecordedRequest:
    headers = {name[5:].replace("_", "-").lower(): value for name, value in environ.items() if name[:5] == "HTTP_"}
    headers["content-type"] = environ.get("CONTENT_TYPE", "")
    return RecordedRequest(
        environ["REQUEST_METHOD"],
        environ["PATH_INFO"],
        dict(parse_qsl(environ["QUERY_STRING"])),
        headers,
        environ["wsgi.input"].read(int(environ.get("CONTENT_LENGTH") or 0)),
    )


def _cut(environ: dict[str, Any]) -> None:
    with contextlib.suppress(OSError):
        environ["werkzeug.socket"].shutdown(socket.SHUT_RDWR)
