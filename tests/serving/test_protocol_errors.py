"""A request that does not reach the application is refused in the same form as others."""

from __future__ import annotations

import ssl

import pytest
from gunicorn.http import errors

from app.serving.protocol_errors import response_to
from app.web.default_headers import HEADERS
from app.web.schemas import Problem

CORRELATION_ID = "660e8400-e29b-41d4-a716-446655440001"
CANARY = "canary4711"

REFUSED = [
    (errors.InvalidRequestLine(CANARY), 400, "ERR_INVALID_REQUEST"),
    (errors.InvalidHeaderName(CANARY), 400, "ERR_INVALID_REQUEST"),
    (errors.InvalidHTTPVersion(CANARY), 400, "ERR_INVALID_REQUEST"),
    (errors.LimitRequestLine(9000, 8190), 414, "ERR_HTTP_414"),
    (errors.LimitRequestHeaders(CANARY), 431, "ERR_HTTP_431"),
    (errors.UnsupportedTransferCoding(CANARY), 501, "ERR_HTTP_501"),
    (errors.ExpectationFailed(CANARY), 417, "ERR_HTTP_417"),
    (errors.InvalidResponseHeader(CANARY), 500, "ERR_INTERNAL"),
    (RuntimeError(CANARY), 500, "ERR_INTERNAL"),
]


@pytest.mark.parametrize(("error", "status", "code"), REFUSED, ids=lambda each: type(each).__name__)
@pytest.mark.parametrize("secure", [False, True])
def test_it_is_a_problem_with_all_headers(error: Exception, status: int, code: str, secure: bool) -> None:
    response = response_to(error, CORRELATION_ID, secure=secure)
    assert response is not None
    head, _, body = response[1].decode("ascii").partition("\r\n\r\n")
    line, *rest = head.split("\r\n")
    headers = dict(each.split(": ", 1) for each in rest)
    assert line.startswith(f"HTTP/1.1 {status} ")
    assert response[0] == status
    assert headers.items() >= HEADERS.items()
    assert (headers["Content-Type"], headers["Connection"]) == ("application/problem+json", "close")
    assert headers["Content-Length"] == str(len(body))
    assert ("Strict-Transport-Security" in headers) == secure
    problem = Problem.model_validate_json(body)
    assert (problem.status, problem.code, problem.correlation_id) == (status, code, CORRELATION_ID)
    assert headers["X-Correlation-Id"] == CORRELATION_ID
    assert CANARY not in response[1].decode()


@pytest.mark.parametrize(
    "end", [ssl.SSLError(), SystemExit(), KeyboardInterrupt()], ids=lambda each: type(each).__name__
)
def test_no_response_is_sent_to_a_client_that_cannot_read_it(end: BaseException) -> None:
    assert response_to(end, CORRELATION_ID, secure=True) is None
