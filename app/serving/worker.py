"""gunicorn's gevent worker, with less patience for slow bodies, and our words where it answers by itself.

A head has `keepalive` seconds (gunicorn.conf.py), however it drips: gunicorn's own worker sees to that. It must not import
the application: that is for after the standard library has been made co-operative.
"""

from __future__ import annotations

import contextlib
import uuid
from http import HTTPStatus
from typing import Any

import gevent
from gunicorn import util
from gunicorn.workers.ggevent import GeventWorker

from app.serving.answers import AnswerSocket
from app.serving.bodies import PacedBody
from app.serving.protocol_errors import answer


class Worker(GeventWorker):  # type: ignore[misc]  # gunicorn has no types
    """What gunicorn.conf.py names as its worker."""

    def handle_request(self, listener_name: Any, req: Any, sock: Any, addr: Any) -> None:
        """As gunicorn does, with a body that has to come at a pace."""
        body = req.body
        req.body = PacedBody(body, req.force_close)
        answering = AnswerSocket(sock)
        try:
            try:
                super().handle_request(listener_name, req, answering, addr)
            finally:
                answering.end()
            gevent.sleep(0)  # a client whose next request is there already would go on for ever before others
        finally:
            req.body = body  # gunicorn itself passes over what the application left of it, within the time of a head

    def handle_error(self, req: Any, client: Any, addr: Any, exc: BaseException) -> None:
        """Answer what the application never saw, or could not answer any more, and say so in the log."""
        correlation_id = str(uuid.uuid4())
        said = answer(exc, correlation_id, secure=self.cfg.is_ssl)
        if said is None:
            return
        status, text = said
        if status is HTTPStatus.INTERNAL_SERVER_ERROR:
            self.log.error("A request met a mistake of ours (%s)", correlation_id, exc_info=exc)
        else:
            self.log.warning("Invalid request from ip=%s (%s)", (addr or ("",))[0], correlation_id)
        with contextlib.suppress(Exception):
            util.write_nonblock(client, text)
