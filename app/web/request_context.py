"""What every request has: a correlation id, a caller, default headers on its response, and a line in the log."""

import time
import uuid
from functools import partial

from flask import Flask, Response, g, request
from structlog.contextvars import bind_contextvars, clear_contextvars

from app import logs
from app.domain.access import Caller
from app.services.ports import Metrics
from app.web.default_headers import HEADERS, HSTS

HEADER = "X-Correlation-Id"
HEALTH = "/health"
UNKNOWN_ROUTE = "unknown"

log = logs.get(__name__)


def install(app: Flask, metrics: Metrics) -> None:
    """Set up every request of `app`. Install it before any hook that may refuse one."""
    app.before_request(_begin)
    app.after_request(partial(_end, metrics))
    app.teardown_request(_forget)


def _begin() -> None:
    given = request.headers.get(HEADER)
    g.correlation_id = given if logs.well_formed(given) else str(uuid.uuid4())
    g.began = time.monotonic()
    g.caller = Caller(request.remote_addr or "")
    bind_contextvars(correlation_id=g.correlation_id)


def _end(metrics: Metrics, response: Response) -> Response:
    response.headers[HEADER] = g.correlation_id
    _add_default_headers(response)
    seconds = time.monotonic() - g.began
    route = request.url_rule.rule if request.url_rule else UNKNOWN_ROUTE
    metrics.http_request(request.method, route, response.status_code, seconds)
    # a check every few seconds; a failure of the database is logged by those who need it
    quiet = request.path == HEALTH and (response.status_code < 400 or response.status_code == 503)
    (log.debug if quiet else log.info)(
        "Request",
        action="http",
        method=request.method,
        path=request.path[:200],
        status=response.status_code,
        ms=round(seconds * 1000),
    )
    return response


def _add_default_headers(response: Response) -> None:
    """Add those that the view has not set itself, as the pages and the images do."""
    present = {name.lower() for name, _ in response.headers}
    defaults = HEADERS | HSTS if request.is_secure else HEADERS
    response.headers.extend({name: value for name, value in defaults.items() if name.lower() not in present})


def _forget(_error: BaseException | None) -> None:
    """Later log lines of this greenlet are no longer about the request."""
    clear_contextvars()
