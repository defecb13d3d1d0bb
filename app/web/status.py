"""The health of the service, and where extensions connect."""

import time
from typing import Literal
from urllib.parse import urlsplit

from flask import Response, request

from app.adapters.memory import process_memory
from app.config import Settings
from app.container import Services
from app.domain.access import Need
from app.domain.clock import wire_now
from app.services.health import ComponentHealth
from app.version import VERSION
from app.web.api import Api, ResponseSpec, json_response
from app.web.proxies import FORWARDED
from app.web.schemas import HealthReport, Memory, SocketInfo

TAG = "Service"
_started_s = time.monotonic()


def operations(api: Api, services: Services) -> None:
    """Declare the operations of this module."""

    @api.operation(
        "GET",
        "/health",
        tag=TAG,
        summary="Get the health of the service",
        need=Need.NOTHING,
        responses=(
            ResponseSpec(
                "The service works; it is degraded if Redis is unavailable or pictures cannot be stored", HealthReport
            ),
            ResponseSpec("The database is unavailable", HealthReport, status=503),
        ),
    )
    def get_health() -> Response:
        """Whether this process, the database, Redis and the storage of pictures work; checked once a second at most."""
        parts = services.health.check()
        report = HealthReport(
            status=_health(parts),
            timestamp=wire_now(),
            uptime=int(time.monotonic() - _started_s),
            memory=Memory(**process_memory()),
            environment=services.settings.environment,
            version=VERSION,
            database=parts.database,
            redis=parts.redis,
            storage=parts.storage,
        )
        return json_response(report, 200 if parts.database else 503)

    @api.operation(
        "GET",
        "/api/websocket/info",
        tag=TAG,
        summary="Get the WebSocket's address",
        need=Need.CALLER,
        responses=(ResponseSpec("The address, and how many extensions are connected", SocketInfo),),
    )
    def get_socket_info() -> SocketInfo:
        """The WebSocket's address, and the number of extensions that are connected to any web process."""
        return SocketInfo(
            url=socket_url(services.settings), active_connections=services.extensions.count(), timestamp=wire_now()
        )


def socket_url(settings: Settings) -> str:
    """The WebSocket's address: below PUBLIC_URL if that is set, otherwise at the host that the caller used, with WS_PORT."""
    base = urlsplit(settings.public_url or request.url_root)
    scheme = "wss" if base.scheme == "https" else "ws"
    direct = settings.public_url is None and not request.environ.get(FORWARDED)
    served_here = direct and settings.ws_port is not None and scheme == "ws"
    host = f"[{base.hostname}]" if ":" in (base.hostname or "") else base.hostname
    netloc = f"{host}:{settings.ws_port}" if served_here else base.netloc
    return f"{scheme}://{netloc}{base.path.rstrip('/')}{settings.ws_path}"


def _health(parts: ComponentHealth) -> Literal["healthy", "degraded", "unhealthy"]:
    if not parts.database:
        return "unhealthy"
    return "healthy" if parts.redis and parts.storage else "degraded"
