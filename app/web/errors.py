"""Every refusal over HTTP in one form: `application/problem+json` (RFC 9457) with a machine code."""

from __future__ import annotations

from http import HTTPStatus

from flask import Flask, Response, g, request
from werkzeug.exceptions import HTTPException, MethodNotAllowed, RequestedRangeNotSatisfiable
from werkzeug.routing import WebsocketMismatch
from werkzeug.wrappers import Response as AnyResponse

from app import logs
from app.adapters import clock
from app.domain.errors import MissingScope, Refusal, Unauthorized
from app.web.schemas import Problem

PROBLEM = "application/problem+json"

# The refusals that come from Flask or from a mistake of ours: a code and a sentence for each.
KNOWN = {
    400: ("ERR_INVALID_REQUEST", "The request cannot be understood."),
    404: ("ERR_NOT_FOUND", "There is nothing at this address."),
    405: ("ERR_METHOD_NOT_ALLOWED", "This address does not take that method."),
    413: ("ERR_PAYLOAD_TOO_LARGE", "The body is larger than this address takes."),
    415: ("ERR_UNSUPPORTED_MEDIA_TYPE", "The body's content type is not one that this address takes."),
    416: ("ERR_RANGE_NOT_SATISFIABLE", "The range asked for lies outside the file."),
    500: ("ERR_INTERNAL", "The server made a mistake; it is logged under the correlationId."),
}

log = logs.get(__name__)


def install(app: Flask) -> None:
    """Answer every error of `app` as a problem."""
    app.register_error_handler(Refusal, refusal)
    app.register_error_handler(HTTPException, _http)
    app.register_error_handler(Exception, _broken)


def problem(status: int, code: str, detail: str) -> Response:
    """A refusal as it goes out."""
    body = Problem(
        title=HTTPStatus(status).phrase,
        status=status,
        code=code,
        detail=detail,
        error=detail,
        correlation_id=g.get("correlation_id", ""),
        timestamp=clock.now(),
    )
    return Response(body.model_dump_json(by_alias=True), status, content_type=PROBLEM)


def refusal(error: Refusal) -> Response:
    """A refusal of the domain as a problem, with the headers that belong to it."""
    response = problem(error.status, error.code, error.detail)
    if isinstance(error, Unauthorized | MissingScope):
        response.headers["WWW-Authenticate"] = error.challenge
    if error.retry_after_s is not None:
        response.headers["Retry-After"] = str(error.retry_after_s)
    return response


def _http(error: HTTPException) -> AnyResponse:
    status = error.code or 500
    if status < 400:
        return error.get_response()
    code, detail = KNOWN.get(status, (f"ERR_HTTP_{status}", error.description or "The request was refused."))
    if isinstance(error, MethodNotAllowed):
        allowed = ", ".join(sorted(error.valid_methods or ()))
        detail = f"{request.method} is not allowed here: use {allowed}."
    if isinstance(error, WebsocketMismatch):
        detail = "This address is a WebSocket: connect to it with ws:// or wss://."
    response = problem(status, code, detail)
    if isinstance(error, MethodNotAllowed | RequestedRangeNotSatisfiable):
        response.headers.extend(
            [(name, value) for name, value in error.get_headers() if name in {"Allow", "Content-Range"}]
        )
    return response


def _broken(error: Exception) -> Response:
    log.error("A request met a mistake of ours", action="http.broken", path=request.path[:200], exc_info=error)
    return problem(500, *KNOWN[500])
