"""The short way of a poll, which most requests are: how does it stand?"""

from __future__ import annotations

from typing import TYPE_CHECKING

from app.domain.access import Need
from app.domain.ids import is_request_id
from app.services.auth_throttle import AuthThrottle
from app.services.lookup import Lookup
from app.web import presenters
from app.web.access import admitted
from app.web.hosts import Hosts
from app.web.schemas import RequestStatus
from app.web.short import is_plain

if TYPE_CHECKING:
    from _typeshed.wsgi import WSGIEnvironment

BEFORE_ID, BEHIND_ID = "/api/images/", "/status"


class Polls:
    """Answers those who ask how a request stands, and do not want to wait for news."""

    method = "GET"

    def __init__(self, lookup: Lookup, throttle: AuthThrottle, hosts: Hosts) -> None:
        self._lookup = lookup
        self._throttle = throttle
        self._hosts = hosts

    def asked(self, environ: WSGIEnvironment) -> str | None:
        """The id of the request."""
        path: str = environ["PATH_INFO"]
        if not path.endswith(BEHIND_ID) or not path.startswith(BEFORE_ID) or not is_plain(environ):
            return None
        request_id = path[len(BEFORE_ID) : -len(BEHIND_ID)]
        return request_id if is_request_id(request_id) else None

    def answer(self, asked: str, environ: WSGIEnvironment) -> RequestStatus:
        """Its status."""
        self._hosts.check(environ["HTTP_HOST"])
        caller, _ = admitted(self._throttle, Need.READ, environ.get("REMOTE_ADDR", ""), environ)
        return presenters.status(self._lookup.glance(asked, caller.sees_only))
