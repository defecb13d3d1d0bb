"""How the service is, and where extensions connect."""

from __future__ import annotations

import time
from typing import Literal
from urllib.parse import urlsplit

from flask import Response, request

from app.adapters import clock
from app.adapters.memory import process_memory
from app.config import Settings
from app.container import Services
from app.domain.access import Need
from app.services.health import Parts
from app.web.api import Answer, Api, as_json
from app.web.proxies import FORWARDED
from app.web.schemas import HealthReport, Memory, SocketInfo

TAG = "Service"
_began = time.monotonic()


def operations(api: Api, services: Services) -> None:
    """Declare them."""

    @api.operation(
        "GET",
        "/health",
        tag=TAG,
        summary="How the service is",
        need=Need.NOTHING,
        answers=(
            Answer("It works, if degraded without Redis", HealthReport),
            Answer("The database cannot be reached", HealthReport, status=503),
        ),
    )
    def get_health() -> Response:
        """Whether this process and the parts it depends on work."""
        parts = services.health.check()
        report = HealthReport(
            status=_word(parts),
            timestamp=clock.now(),
            uptime=int(time.monotonic() - _began),
            memory=Memory(**process_memory()),
            environment=services.settings.environment,
            database=parts.database,
            redis=parts.redis,
        )
        return as_json(report, 200 if parts.database else 503)

    @api.operation(
        "GET",
        "/api/websocket/info",
        tag=TAG,
        summary="Where extensions connect",
        need=Need.CALLER,
        answers=(Answer("The address, and how many are connected", SocketInfo),),
    )
    def get_socket_info() -> SocketInfo:
        """The socket's address and the number of connected extensions, over all web processes."""
        return SocketInfo(
            url=socket_url(services.settings), active_connections=services.extensions.count(), timestamp=clock.now()
        )


def socket_url(settings: Settings) -> str:
    """The address for sockets: that of PUBLIC_URL where it is set, else the host that the caller used, with WS_PORT."""
    base = urlsplit(settings.public_url or request.url_root)
    scheme = "wss" if base.scheme == "https" else "ws"
    direct = settings.public_url is None and not request.environ.get(FORWARDED)
    served_here = direct and settings.ws_port is not None and scheme == "ws"
    host = f"[{base.hostname}]" if ":" in (base.hostname or "") else base.hostname
    netloc = f"{host}:{settings.ws_port}" if served_here else base.netloc
    return f"{scheme}://{netloc}{base.path.rstrip('/')}{settings.ws_path}"


def _word(parts: Parts) -> Literal["healthy", "degraded", "unhealthy"]:
    if not parts.database:
        return "unhealthy"
    return "healthy" if parts.redis else "degraded"
