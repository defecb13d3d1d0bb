"""Variations of the images of a request."""

from functools import partial

from flask import g
from flask_limiter import Limiter

from app.container import Services
from app.domain.access import Need
from app.domain.errors import (
    Gone,
    IdempotencyKeyReused,
    NotCompleted,
    NotFound,
    QuotaExceeded,
    RateLimited,
    UnknownInput,
)
from app.services.variations import Wish, variation_of
from app.web import idempotency, limits, presenters
from app.web.api import Api, ResponseSpec
from app.web.images import ONE_REQUEST, TAG, checked_id
from app.web.schemas import Accepted
from app.web.variation_schemas import VariationRequest


def operations(api: Api, services: Services, limiter: Limiter) -> None:
    """Declare the operations of this module."""

    @api.operation(
        "POST",
        f"{ONE_REQUEST}/variations",
        tag=TAG,
        summary="Submit a request for variations",
        body=VariationRequest,
        optional=True,
        need=Need.WRITE,
        headers=idempotency.REQUEST_HEADERS,
        responses=(
            ResponseSpec(
                "The request is stored and will be processed",
                Accepted,
                headers=(*limits.HEADERS, *idempotency.RESPONSE_HEADERS),
            ),
        ),
        refusals=(NotFound, NotCompleted, Gone, UnknownInput, IdempotencyKeyReused, RateLimited, QuotaExceeded),
    )
    @limits.submitted_for(partial(_owner_of_source, services))
    @idempotency.once_only(services, "vary", _what_was_sent, presenters.accepted)
    @limits.per_submission(limiter, services.settings.limits, limits.REQUESTS)
    def vary_image(request_id: str, body: VariationRequest) -> Accepted:
        """Submit a request for variations of an image of a completed request of yours: with its model, parameters and `keep`, for
        its user, and the image as input (`inputImages`). The new request shows it as `parentId`. An extension that announces
        `image-variation` makes it. It costs one token of the rate limit."""
        wish = Wish(body.prompt, body.number_of_images, body.strength, body.position, body.keep)
        order = variation_of(g.varied, wish)
        return presenters.accepted(services.submission.submit(order, g.correlation_id, g.keyed_request))


def _owner_of_source(services: Services, request_id: str, body: VariationRequest) -> str:
    """The user whose request is varied, which is kept in `g.varied`. Raises NotFound."""
    g.varied = services.lookup.details(checked_id(request_id), g.caller.visible_user)
    user_id: str = g.varied.job.user_id
    return user_id


def _what_was_sent(request_id: str, body: VariationRequest) -> object:
    return {"requestId": request_id.lower(), "body": idempotency.parsed_body(body)}
