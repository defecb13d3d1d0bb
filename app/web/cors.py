"""Which pages may read our answers (Fetch Standard, section 3.2): those of ALLOWED_ORIGINS, each named back exactly.

No cookies are used, so none are allowed along; `*` is never said. That answers depend on `Origin` is said of all of them
(`web/default_headers.py`). Sockets are not covered by CORS: `hub/routes.py` checks where they come from before it takes one.
"""

from __future__ import annotations

from flask import Flask, Response, request

from app.domain.errors import Forbidden
from app.network_settings import Origins

METHODS = "GET, HEAD, POST, PUT, PATCH, DELETE"
REQUEST_HEADERS = (
    "Authorization, Content-Type, Idempotency-Key, If-None-Match, Last-Event-ID, Range, X-API-Key, X-Correlation-Id"
)
EXPOSED = (
    "X-Correlation-Id, X-RateLimit-Limit, X-RateLimit-Remaining, X-RateLimit-Reset, Retry-After, ETag, Location, "
    "Accept-Ranges, Content-Range"
)
PREFLIGHT_S = 600


def install(app: Flask, origins: Origins) -> None:
    """Install it before whatever asks who somebody is: preflights carry no credentials."""

    @app.before_request
    def _preflight() -> Response | None:
        if request.method != "OPTIONS" or "Access-Control-Request-Method" not in request.headers:
            return None
        if not origins.allow(request.headers.get("Origin", "")):
            raise Forbidden("Pages of this origin may not use the service; the operator sets ALLOWED_ORIGINS.")
        return Response(
            status=204,
            headers={
                "Access-Control-Allow-Methods": METHODS,
                "Access-Control-Allow-Headers": REQUEST_HEADERS,
                "Access-Control-Max-Age": str(PREFLIGHT_S),
            },
        )

    @app.after_request
    def _name_origin(response: Response) -> Response:
        origin = request.environ.get("HTTP_ORIGIN")
        if origin is not None and origins.allow(origin):
            response.headers["Access-Control-Allow-Origin"] = origin
            response.headers["Access-Control-Expose-Headers"] = EXPOSED
        return response
