"""gunicorn's gevent worker with two additions: bodies that must arrive at a pace, and problems (RFC 9457) as its own errors.

It must not import the application: gunicorn makes the standard library cooperative first. The time for a request's head is
gunicorn's own `keepalive` (gunicorn.conf.py).
"""

import contextlib
import uuid
from http import HTTPStatus
from typing import Any

import gevent
from gunicorn import util
from gunicorn.workers.ggevent import GeventWorker

from app.serving.bodies import PacedBody
from app.serving.protocol_errors import response_to


class Worker(GeventWorker):  # type: ignore[misc]  # gunicorn has no types
    """The `worker_class` of gunicorn.conf.py."""

    def handle_request(self, listener_name: Any, req: Any, sock: Any, addr: Any) -> None:
        """Handle one request, with a body that must arrive at a pace."""
        body = req.body
        req.body = PacedBody(body, req.force_close)
        try:
            super().handle_request(listener_name, req, sock, addr)
        finally:
            req.body = body  # gunicorn skips what the application left of it, within the time of the next head
        # A pipelining client's next request can be read without waiting: without this, other clients would starve.
        gevent.sleep(0)

    def handle_error(self, req: Any, client: Any, addr: Any, exc: BaseException) -> None:
        """Respond to what never reached the application, or made it fail, and log it."""
        correlation_id = str(uuid.uuid4())
        response = response_to(exc, correlation_id, secure=self.cfg.is_ssl)
        if response is None:
            return
        status, content = response
        if status is HTTPStatus.INTERNAL_SERVER_ERROR:
            self.log.error("A request failed with an unexpected error (%s)", correlation_id, exc_info=exc)
        else:
            self.log.warning("Invalid request from ip=%s (%s)", (addr or ("",))[0], correlation_id)
        with contextlib.suppress(Exception):
            util.write_nonblock(client, content)
