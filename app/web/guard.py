"""What holds for every request: a correlation id, and a line in the log."""

from __future__ import annotations

import time
import uuid

from flask import Flask, Response, g, request

from app import logs
from app.domain.access import Caller

HEADER = "X-Correlation-Id"
GIVEN = "HTTP_X_CORRELATION_ID"  # the same, as WSGI has it

log = logs.get(__name__)


def install(app: Flask) -> None:
    """Guard every request of `app`. Install it before anything that may refuse."""
    app.before_request(_begin)
    app.after_request(_end)
    app.teardown_request(_forget)


def _begin() -> None:
    given = request.environ.get(GIVEN)
    g.correlation_id = known = given if logs.well_formed(given) else str(uuid.uuid4())
    g.began = time.monotonic()
    logs.correlation_id.set(known)
    g.caller = Caller(request.remote_addr or "")


def _end(response: Response) -> Response:
    response.headers[HEADER] = g.correlation_id
    log.info(
        "Request",
        action="http",
        method=request.method,
        path=request.path[:200],
        status=response.status_code,
        ms=round((time.monotonic() - g.began) * 1000),
    )
    return response


def _forget(_error: BaseException | None) -> None:
    """What this greenlet does next is no longer about the request."""
    logs.correlation_id.set(None)
