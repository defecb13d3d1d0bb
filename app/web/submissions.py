"""A request for pictures: what is done with one that can be read, and its short way."""

from __future__ import annotations

from typing import TYPE_CHECKING

from werkzeug.wsgi import get_content_length

from app.domain.access import Caller, Need
from app.domain.orders import DEFAULT_USER, Order
from app.services.auth_throttle import AuthThrottle
from app.services.submission import Submission
from app.web import bodies, presenters, request_context
from app.web.access import admitted
from app.web.hosts import Hosts
from app.web.limits import RateLimits
from app.web.request_schemas import GenerateRequest
from app.web.schemas import Accepted
from app.web.short import is_plain

if TYPE_CHECKING:
    from _typeshed.wsgi import WSGIEnvironment

PATH = "/api/images/generate"


def accept(
    said: GenerateRequest, caller: Caller, submission: Submission, limits: RateLimits, environ: WSGIEnvironment
) -> Accepted:
    """Count it and keep it. Raises Forbidden, RateLimited, QuotaExceeded, Unavailable."""
    claimed = said.user_id if "user_id" in said.model_fields_set else None
    user_id = caller.speaks_for(claimed) or DEFAULT_USER
    limits.charge(environ, caller, user_id)
    order = Order(said.prompt, said.model, user_id, said.parameters, said.deadline_ms)
    job = submission.submit(order, environ[request_context.GIVEN])
    return Accepted(request_id=job.id, correlation_id=job.correlation_id, timestamp=presenters.time(job.created_at))


class Submissions:
    """Takes requests whose body says how long it is and that it is JSON."""

    method = "POST"

    def __init__(
        self, submission: Submission, limits: RateLimits, throttle: AuthThrottle, hosts: Hosts, most_bytes: int
    ) -> None:
        self._submission = submission
        self._limits = limits
        self._throttle = throttle
        self._hosts = hosts
        self._most_bytes = most_bytes

    def asked(self, environ: WSGIEnvironment) -> int | None:
        """The length of the body."""
        if environ["PATH_INFO"] != PATH or not is_plain(environ) or environ.get("CONTENT_TYPE") != bodies.JSON:
            return None
        length = get_content_length(environ)  # None where it is not said, or the body comes in chunks
        return length if length is not None and length <= self._most_bytes else None

    def answer(self, asked: int, environ: WSGIEnvironment) -> Accepted:
        """The request is kept."""
        self._hosts.check(environ["HTTP_HOST"])
        caller, _ = admitted(self._throttle, Need.WRITE, environ.get("REMOTE_ADDR", ""), environ)
        said = bodies.fitting(GenerateRequest, bodies.read(environ, asked))
        return accept(said, caller, self._submission, self._limits, environ)
