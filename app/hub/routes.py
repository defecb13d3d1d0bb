"""The route of the WebSocket. Invalid handshakes are refused before they take a slot."""

import base64
import binascii
import re

from flask import Blueprint, Flask, g, request
from flask_sock import Sock
from simple_websocket import Server

from app.config import Settings
from app.domain.access import parse_bearer
from app.domain.errors import Forbidden, InvalidRequest
from app.hub.hub import Hub
from app.hub.wire_socket import NoThread, WireSocket
from app.network_settings import Origins

PROTOCOL = "imagefleet"
TOKEN_PREFIX = "token."  # noqa: S105 - not a token
# The keys of `environ` under which gunicorn and werkzeug pass on the connection's socket.
SOCKETS = ("gunicorn.socket", "werkzeug.socket")
# What the WebSocket library cannot read, though gunicorn can: control characters, and anything but ASCII in its own headers.
_UNREADABLE = re.compile(r"[\x00-\x08\x0a-\x1f\x7f]")
_ASCII_ONLY = {"connection", "upgrade", "sec-websocket-protocol", "sec-websocket-key"}


def install(app: Flask, hub: Hub, settings: Settings) -> None:
    """Serve the socket path of `settings` on `app`."""
    # Compression is never negotiated: it costs 90 KiB for each socket, enables bombs, and messages are small.
    app.config["SOCK_SERVER_OPTIONS"] = {
        "subprotocols": [PROTOCOL],
        "thread_class": NoThread,
        "event_class": NoThread,
    }
    sockets = Blueprint("sockets", __name__)

    @sockets.before_request
    def _check_and_take_slot() -> None:
        _check_handshake()
        _check_host()
        _check_origin(settings.allowed_origins)
        if (token := _handshake_token()) is not None:
            hub.throttle.check(g.caller.address, token)
        g.slot = hub.slots.take(g.caller.address)
        request.environ.pop("HTTP_SEC_WEBSOCKET_EXTENSIONS", None)
        for name in SOCKETS:
            if name in request.environ:
                request.environ[name] = WireSocket(
                    request.environ[name], bytes_per_s=settings.limits.socket_bytes_per_s
                )

    @sockets.teardown_request
    def _release_slot(_error: BaseException | None) -> None:
        if (slot := g.pop("slot", None)) is not None:
            slot.release()

    @Sock(app).route(settings.ws_path, bp=sockets)  # type: ignore[untyped-decorator]
    def _socket(ws: Server) -> None:
        hub.serve(ws, settings.public_url or request.url_root.rstrip("/"), g.slot, _handshake_token())

    app.register_blueprint(sockets)


def _handshake_token() -> str | None:
    """The token in the handshake. Browsers cannot set headers, so they send it as a second sub-protocol."""
    if (bearer := parse_bearer(request.headers.get("Authorization", ""))) is not None:
        return bearer
    offered = [name.strip() for name in request.headers.get("Sec-WebSocket-Protocol", "").split(",")]
    return next((name.removeprefix(TOKEN_PREFIX) for name in offered if name.startswith(TOKEN_PREFIX)), None)


def _check_handshake() -> None:
    """RFC 6455, section 4.2.1: a key of 16 bytes in base64, and version 13."""
    try:
        key = base64.b64decode(request.headers.get("Sec-WebSocket-Key", ""), validate=True)
    except (binascii.Error, ValueError):
        key = b""
    if len(key) != 16:
        raise InvalidRequest("Sec-WebSocket-Key must be 16 bytes in base64.")
    if request.headers.get("Sec-WebSocket-Version") != "13":
        raise InvalidRequest("Sec-WebSocket-Version must be 13.")
    for name, value in request.headers:
        if _UNREADABLE.search(value) or (not value.isascii() and name.lower() in _ASCII_ONLY):
            raise InvalidRequest(f"{name} contains a character that is not allowed there.")


def _check_host() -> None:
    """wsproto decodes the name as IDNA, which has stricter rules than the check for HTTP (app/web/hosts.py)."""
    try:
        name = request.headers.get("Host", "").encode("ascii").decode("idna")
    except UnicodeError:
        name = ""
    if not name:
        raise InvalidRequest("The Host header is not a valid host name.")


def _check_origin(origins: Origins) -> None:
    """RFC 6455, section 10.2: browsers send the origin of the page. Other clients send none, or this server's."""
    origin = request.headers.get("Origin")
    if origin is not None and origin != f"{request.scheme}://{request.host}" and not origins.allow(origin):
        raise Forbidden("Pages of this origin may not open a socket; the operator can allow it in ALLOWED_ORIGINS.")
