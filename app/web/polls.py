"""Polls of a status, which are most of what clients ask, answered before Flask is asked.

Flask's way to a view and back, with the hooks around it, took two thirds of what the application does for a poll. What is out
of the ordinary goes that way as ever: a request that waits for news, one that a page of another origin sends. So does whatever
goes wrong, and takes along what that was: problems are put into words in one place (`errors.py`).
"""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

from app import logs
from app.domain.access import Need
from app.domain.ids import is_request_id
from app.services.gate import Gate
from app.services.lookup import View
from app.web import guard, shapes
from app.web.access import admitted
from app.web.api import JSON, as_text
from app.web.hosts import Hosts
from app.wiring import House

if TYPE_CHECKING:
    from _typeshed.wsgi import StartResponse, WSGIEnvironment

METHOD = "GET"
BEFORE_ID, BEHIND_ID = "/api/images/", "/status"


class Polls:
    """Answers those who ask how a request stands, and nothing else."""

    def __init__(self, house: House, gate: Gate, hosts: Hosts) -> None:
        self._lookup = house.lookup
        self._gate = gate
        self._hosts = hosts

    def answer(self, environ: WSGIEnvironment, start_response: StartResponse) -> list[bytes] | None:
        """The body of the answer; None where Flask is to be asked."""
        request_id = _asked_about(environ)
        if request_id is None:
            return None
        began = time.monotonic()
        environ[guard.GIVEN] = known = guard.correlation_id(environ)  # Flask goes on with the same
        with logs.about(known):
            try:
                body = as_text(shapes.status(self._view(environ, request_id))).encode()
            except Exception as problem:  # noqa: BLE001 - it is raised again where all of them are put into words
                environ[guard.PROBLEM] = problem
                return None
            length = str(len(body))
            start_response("200 OK", [("Content-Type", JSON), ("Content-Length", length), (guard.HEADER, known)])
            guard.tell(METHOD, environ["PATH_INFO"], 200, began)
        return [body]

    def _view(self, environ: WSGIEnvironment, request_id: str) -> View:
        self._hosts.check(environ["HTTP_HOST"])
        caller, _ = admitted(self._gate, Need.READ, environ.get("REMOTE_ADDR", ""), environ)
        return self._lookup.view(request_id, owner=caller.sees_only, pictures=False)


def _asked_about(environ: WSGIEnvironment) -> str | None:
    """The id of the request whose status is polled, in the plainest of ways."""
    path: str = environ["PATH_INFO"]
    if not path.endswith(BEHIND_ID) or not path.startswith(BEFORE_ID) or environ["REQUEST_METHOD"] != METHOD:
        return None
    if environ["QUERY_STRING"] or "HTTP_ORIGIN" in environ or "HTTP_HOST" not in environ:
        return None
    request_id = path[len(BEFORE_ID) : -len(BEHIND_ID)]
    return request_id if is_request_id(request_id) else None
