"""A call of an OpenAI client as a request: a new one, or the one that it repeats."""

from flask import g, request
from flask_limiter import Limiter

from app import logs
from app.container import Services
from app.domain.idempotency import body_hash
from app.domain.image_request import DEFAULT_USER, ImageRequest
from app.services.repeats import Joined, RepeatableCall
from app.web import limits
from app.web.idempotency import parsed_body
from app.web.openai.schemas import ImagesRequest

RETRY_COUNT = "X-Stainless-Retry-Count"
OPERATION = "openai images"
REPEATS_MS = 3_600_000  # how long after a call its repeats are recognized

log = logs.get(__name__)


class Calls:
    def __init__(self, services: Services, limiter: Limiter) -> None:
        self._services = services
        self._submit = limits.per_submission(limiter, services.settings.limits, limits.REQUESTS)(self._submitted)

    def accepted(self, body: ImagesRequest) -> str:
        """The id of the request that the call makes, or that it repeats, which costs nothing.

        Raises what submissions raise.
        """
        body_id, repeat = body_hash(parsed_body(body)), _is_repeat()
        call = RepeatableCall.of(g.user_id, OPERATION, body_id, REPEATS_MS, repeat=repeat)
        try:
            self._services.repeats.check(call)
            return self._submit(body, call)
        except Joined as joined:
            log.info("A repeated call joined its request", action="openai.joined", request_id=joined.request_id)
            return joined.request_id

    def _submitted(self, body: ImagesRequest, call: RepeatableCall) -> str:
        order = ImageRequest(body.prompt, body.model, g.user_id, _parameters(body))
        return self._services.submission.submit(order, g.correlation_id, call).job.id


def owner(body: ImagesRequest) -> str:
    """The user that the request belongs to. With a credential `user` is a user of the caller's own, not one of ours."""
    return g.caller.user_id or body.user or DEFAULT_USER


def _parameters(body: ImagesRequest) -> dict[str, object]:
    passed_on = {} if body.user is None or not g.caller.authenticated else {"user": body.user}
    return body.parameters() | passed_on


def _is_repeat() -> bool:
    count = request.headers.get(RETRY_COUNT, "")
    return count.isascii() and count.isdigit() and count.strip("0") != ""
