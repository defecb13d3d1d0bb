"""What is answered where no request reached the application: a problem like every other, with the same headers."""

from __future__ import annotations

import json
import ssl
from http import HTTPStatus

from gunicorn.http import errors

from app.adapters import clock
from app.web.browsers import HEADERS, HSTS

# The status and a sentence by what gunicorn found; what it read is not repeated, for it may be a secret.
_ERRORS: tuple[tuple[type[Exception], HTTPStatus, str], ...] = (
    (errors.InvalidResponseHeader, HTTPStatus.INTERNAL_SERVER_ERROR, "The server made a mistake."),
    (errors.InvalidResponseHeaderName, HTTPStatus.INTERNAL_SERVER_ERROR, "The server made a mistake."),
    (errors.ConfigurationProblem, HTTPStatus.INTERNAL_SERVER_ERROR, "The server made a mistake."),
    (errors.LimitRequestLine, HTTPStatus.REQUEST_URI_TOO_LONG, "The request's first line is too long."),
    (errors.LimitRequestHeaders, HTTPStatus.REQUEST_HEADER_FIELDS_TOO_LARGE, "The headers are too many, or too long."),
    (errors.UnsupportedTransferCoding, HTTPStatus.NOT_IMPLEMENTED, "That Transfer-Encoding is not understood here."),
    (errors.ExpectationFailed, HTTPStatus.EXPECTATION_FAILED, "That Expect is not understood here."),
    (errors.ParseException, HTTPStatus.BAD_REQUEST, "What came is no request of HTTP that can be read."),
    (Exception, HTTPStatus.INTERNAL_SERVER_ERROR, "The server made a mistake."),
)
_CODES = {HTTPStatus.BAD_REQUEST: "ERR_INVALID_REQUEST", HTTPStatus.INTERNAL_SERVER_ERROR: "ERR_INTERNAL"}


def answer(error: BaseException, correlation_id: str, *, secure: bool) -> tuple[HTTPStatus, bytes] | None:
    """The whole answer to what led to this error; None where nobody would understand one."""
    if isinstance(error, ssl.SSLError):
        return None
    found = next(((status, said) for kind, status, said in _ERRORS if isinstance(error, kind)), None)
    return None if found is None else (found[0], _written(*found, correlation_id, secure=secure))


def _written(status: HTTPStatus, detail: str, correlation_id: str, *, secure: bool) -> bytes:
    body = _problem(status, detail, correlation_id)
    headers = {
        "Connection": "close",
        "Content-Type": "application/problem+json",
        "Content-Length": str(len(body)),
        "X-Correlation-Id": correlation_id,
        **HEADERS,
        **(dict([HSTS]) if secure else {}),
    }
    head = [f"HTTP/1.1 {status.value} {status.phrase}", *(f"{name}: {value}" for name, value in headers.items())]
    return "\r\n".join([*head, "", ""]).encode("ascii") + body


def _problem(status: HTTPStatus, detail: str, correlation_id: str) -> bytes:
    """As app/web/errors.py has them, which needs an application."""
    said = {
        "type": "about:blank",
        "title": status.phrase,
        "status": status.value,
        "code": _CODES.get(status, f"ERR_HTTP_{status.value}"),
        "detail": detail,
        "error": detail,
        "correlationId": correlation_id,
        "timestamp": clock.now(),
    }
    return json.dumps(said).encode("ascii")
