"""What holds for every request: a correlation id, and a line in the log."""

from __future__ import annotations

import time
import uuid
from typing import TYPE_CHECKING

from flask import Flask, Response, g, request

from app import logs
from app.domain.access import Caller

if TYPE_CHECKING:
    from _typeshed.wsgi import WSGIEnvironment

HEADER = "X-Correlation-Id"
GIVEN = "HTTP_X_CORRELATION_ID"  # the same, as WSGI has it
PROBLEM = "imagefleet.problem"  # what went wrong where a request was looked at before Flask was asked

log = logs.get(__name__)


def install(app: Flask) -> None:
    """Guard every request of `app`. Install it before anything that may refuse."""
    app.before_request(_begin)
    app.after_request(_end)
    app.teardown_request(_forget)


def correlation_id(environ: WSGIEnvironment) -> str:
    """The id that the request came with, or a new one."""
    given: str | None = environ.get(GIVEN)
    return given if given is not None and logs.well_formed(given) else str(uuid.uuid4())


def tell(method: str, path: str, status: int, began: float) -> None:
    """Write the line of a request that began at this time (s, of the monotonic clock) and is answered now."""
    log.info(
        "Request",
        action="http",
        method=method,
        path=path[:200],
        status=status,
        ms=round((time.monotonic() - began) * 1000),
    )


def _begin() -> None:
    environ = request.environ
    g.correlation_id = environ[GIVEN] = known = correlation_id(environ)
    g.began = time.monotonic()
    logs.correlation_id.set(known)
    g.caller = Caller(request.remote_addr or "")
    problem: Exception | None = environ.get(PROBLEM)
    if problem is not None:
        raise problem


def _end(response: Response) -> Response:
    response.headers[HEADER] = g.correlation_id
    tell(request.method, request.path, response.status_code, g.began)
    return response


def _forget(_error: BaseException | None) -> None:
    """What this greenlet does next is no longer about the request."""
    logs.correlation_id.set(None)
