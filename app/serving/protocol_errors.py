"""The response to what gunicorn cannot read as an HTTP request: a problem and headers like those of every other refusal."""

import json
import ssl
from http import HTTPStatus

from gunicorn.http import errors

from app.domain.clock import wire_now
from app.web.default_headers import HEADERS, HSTS

_SERVER_ERROR = (HTTPStatus.INTERNAL_SERVER_ERROR, "The server failed to answer.")
# Status and sentence by gunicorn's error. What was received is not repeated: it may contain a secret.
_ERRORS: tuple[tuple[type[Exception], tuple[HTTPStatus, str]], ...] = (
    (errors.InvalidResponseHeader, _SERVER_ERROR),
    (errors.InvalidResponseHeaderName, _SERVER_ERROR),
    (errors.ConfigurationProblem, _SERVER_ERROR),
    (errors.LimitRequestLine, (HTTPStatus.REQUEST_URI_TOO_LONG, "The request line is too long.")),
    (errors.LimitRequestHeaders, (HTTPStatus.REQUEST_HEADER_FIELDS_TOO_LARGE, "The headers are too many or too long.")),
    (errors.UnsupportedTransferCoding, (HTTPStatus.NOT_IMPLEMENTED, "This Transfer-Encoding is not supported.")),
    (errors.ExpectationFailed, (HTTPStatus.EXPECTATION_FAILED, "This Expect header is not supported.")),
    (errors.ParseException, (HTTPStatus.BAD_REQUEST, "This is not a valid HTTP request.")),
    (Exception, _SERVER_ERROR),
)
_CODES = {HTTPStatus.BAD_REQUEST: "ERR_INVALID_REQUEST", HTTPStatus.INTERNAL_SERVER_ERROR: "ERR_INTERNAL"}


def response_to(error: BaseException, correlation_id: str, *, secure: bool) -> tuple[HTTPStatus, bytes] | None:
    """The status and the whole response; None if the client could not read one, or the process is ending."""
    if isinstance(error, ssl.SSLError):
        return None
    found = next((response for kind, response in _ERRORS if isinstance(error, kind)), None)
    return None if found is None else (found[0], _response(*found, correlation_id, secure=secure))


def _response(status: HTTPStatus, detail: str, correlation_id: str, *, secure: bool) -> bytes:
    body = _problem(status, detail, correlation_id)
    headers = {
        "Connection": "close",
        "Content-Type": "application/problem+json",
        "Content-Length": str(len(body)),
        "X-Correlation-Id": correlation_id,
        **HEADERS,
        **(HSTS if secure else {}),
    }
    head = [f"HTTP/1.1 {status.value} {status.phrase}", *(f"{name}: {value}" for name, value in headers.items())]
    return "\r\n".join([*head, "", ""]).encode("ascii") + body


def _problem(status: HTTPStatus, detail: str, correlation_id: str) -> bytes:
    """The same fields as in app/web/errors.py, which needs Flask."""
    fields = {
        "type": "about:blank",
        "title": status.phrase,
        "status": status.value,
        "code": _CODES.get(status, f"ERR_HTTP_{status.value}"),
        "detail": detail,
        "error": detail,
        "correlationId": correlation_id,
        "timestamp": wire_now(),
    }
    return json.dumps(fields).encode("ascii")
