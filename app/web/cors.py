"""CORS: which web pages may read our responses (Fetch Standard, section 3.2). Each origin of ALLOWED_ORIGINS is named back.

There are no cookies, so credentials are never allowed, and `*` is never sent. `Vary: Origin` is a default header. CORS does
not cover WebSockets: `hub/routes.py` checks their origin.
"""

from flask import Flask, Response, request

from app.domain.errors import Forbidden
from app.network_settings import Origins

METHODS = "GET, HEAD, POST, PUT, PATCH, DELETE"
OPENAI_HEADERS = (  # what OpenAI's client sends with each call
    "OpenAI-Organization, OpenAI-Project, X-Stainless-Arch, X-Stainless-Lang, X-Stainless-OS, X-Stainless-Package-Version, "
    "X-Stainless-Retry-Count, X-Stainless-Runtime, X-Stainless-Runtime-Version, X-Stainless-Timeout"
)
REQUEST_HEADERS = (
    "Authorization, Content-Type, Idempotency-Key, If-Match, If-None-Match, Last-Event-ID, Range, X-Correlation-Id, "
    + OPENAI_HEADERS
)
EXPOSED = (
    "X-Correlation-Id, X-RateLimit-Limit, X-RateLimit-Remaining, X-RateLimit-Reset, Retry-After, ETag, "
    "Accept-Ranges, Content-Range, Idempotency-Replayed, X-Request-Id, X-Should-Retry"
)
PREFLIGHT_S = 600


def install(app: Flask, origins: Origins) -> None:
    """Install it before the hook that requires credentials: preflight requests carry none."""

    @app.before_request
    def _preflight() -> Response | None:
        if request.method != "OPTIONS" or "Access-Control-Request-Method" not in request.headers:
            return None
        if not origins.allow(request.headers.get("Origin", "")):
            raise Forbidden(
                "Pages of this origin may not use the service; the operator can allow it in ALLOWED_ORIGINS."
            )
        return Response(
            status=204,
            headers={
                "Access-Control-Allow-Methods": METHODS,
                "Access-Control-Allow-Headers": REQUEST_HEADERS,
                "Access-Control-Max-Age": str(PREFLIGHT_S),
            },
        )

    @app.after_request
    def _allow_origin(response: Response) -> Response:
        origin = request.headers.get("Origin")
        if origin is not None and origins.allow(origin):
            response.headers["Access-Control-Allow-Origin"] = origin
            response.headers["Access-Control-Expose-Headers"] = EXPOSED
        return response
