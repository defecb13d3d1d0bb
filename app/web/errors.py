"""Every error response in one form: `application/problem+json` (RFC 9457) with a code for programs.

Clients of OpenAI's API get the form of that instead (`openai/errors.py`).
"""

from collections.abc import Sequence
from dataclasses import asdict
from http import HTTPStatus

from flask import Flask, Response, g, request
from werkzeug.exceptions import HTTPException, MethodNotAllowed, RequestedRangeNotSatisfiable
from werkzeug.routing import WebsocketMismatch
from werkzeug.wrappers import Response as AnyResponse

from app import logs
from app.domain.batches import ItemError
from app.domain.clock import wire_now
from app.domain.errors import InvalidBatch, MissingScope, Refusal, Unauthorized
from app.web.openai import errors as openai
from app.web.schemas import ItemProblem, Problem

PROBLEM = "application/problem+json"

# The code and the sentence of errors that are not the domain's: Flask's own, and unexpected ones.
KNOWN = {
    400: ("ERR_INVALID_REQUEST", "The request is invalid."),
    404: ("ERR_NOT_FOUND", "Not found."),
    405: ("ERR_METHOD_NOT_ALLOWED", "This address does not support this method."),
    412: ("ERR_PRECONDITION_FAILED", "The file is not the one that If-Match names."),
    413: ("ERR_PAYLOAD_TOO_LARGE", "The body is too large."),
    415: ("ERR_UNSUPPORTED_MEDIA_TYPE", "This content type is not supported."),
    416: ("ERR_RANGE_NOT_SATISFIABLE", "The range is outside the file."),
    500: ("ERR_INTERNAL", "The server failed to answer; the error is logged under the correlationId."),
}

log = logs.get(__name__)


def install(app: Flask) -> None:
    """Respond to every error of `app` with a problem."""
    app.register_error_handler(Refusal, refusal)
    app.register_error_handler(HTTPException, _http_error)
    app.register_error_handler(Exception, _unexpected)


def problem(
    status: int, code: str, detail: str, errors: Sequence[ItemError] = (), *, field: str | None = None
) -> Response:
    """The response for an error; `errors` are those of a batch's items, `field` the one that it is about, if that is known."""
    if openai.applies():
        return openai.response(status, code, detail, field)
    body = Problem(
        title=HTTPStatus(status).phrase,
        status=status,
        code=code,
        detail=detail,
        error=detail,
        errors=[ItemProblem(**asdict(each)) for each in errors] or None,
        correlation_id=g.get("correlation_id", ""),
        timestamp=wire_now(),
    )
    return Response(body.model_dump_json(exclude_none=True), status, content_type=PROBLEM)


def refusal(error: Refusal) -> Response:
    """The response for a refusal, with the headers that belong to it."""
    items = error.errors if isinstance(error, InvalidBatch) else ()
    response = problem(error.status, error.code, error.detail, items, field=error.field)
    if isinstance(error, Unauthorized | MissingScope):
        response.headers["WWW-Authenticate"] = error.challenge
    if error.retry_after_s is not None:
        response.headers["Retry-After"] = str(error.retry_after_s)
    return response


def _http_error(error: HTTPException) -> AnyResponse:
    status = error.code or 500
    if status < 400:  # a redirect
        return error.get_response()
    response = problem(status, *_code_and_detail(status, error))
    if isinstance(error, MethodNotAllowed | RequestedRangeNotSatisfiable):
        response.headers.extend(
            [(name, value) for name, value in error.get_headers() if name in {"Allow", "Content-Range"}]
        )
    return response


def _code_and_detail(status: int, error: HTTPException) -> tuple[str, str]:
    code, detail = KNOWN.get(status, (f"ERR_HTTP_{status}", error.description or "The request was refused."))
    if isinstance(error, MethodNotAllowed):
        allowed = ", ".join(sorted(error.valid_methods or ()))
        detail = f"{request.method} is not supported here: use {allowed}."
    if isinstance(error, WebsocketMismatch):
        detail = "This address is a WebSocket: connect to it with ws:// or wss://."
    return code, detail


def _unexpected(error: Exception) -> Response:
    log.error(
        "A request failed with an unexpected error", action="http.broken", path=request.path[:200], exc_info=error
    )
    return problem(500, *KNOWN[500])
