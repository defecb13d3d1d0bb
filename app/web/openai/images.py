"""`/v1/images`: a request that is submitted and waited for in one call."""

from functools import partial
from typing import NoReturn

from flask import Response, g
from flask_limiter import Limiter

from app.container import Services
from app.domain.access import Need
from app.domain.errors import Gone, QuotaExceeded, RateLimited
from app.web import limits
from app.web.api import Api, ResponseSpec
from app.web.openai import delivery, stream, stream_schema
from app.web.openai.calls import RETRY_COUNT, Calls, owner
from app.web.openai.errors import REQUEST_ID, Cancelled, NotSupported, StillWorking
from app.web.openai.outcome import outcome
from app.web.openai.schemas import ImagesRequest, ImagesResponse, ResponseFormat
from app.web.picture_addresses import PictureAddresses
from app.web.streams import KEEP_ALIVE_S

TAG = "OpenAI"


def operations(api: Api, services: Services, limiter: Limiter) -> None:
    """Declare the operations of this module."""
    calls, wait_s = Calls(services, limiter), services.settings.openai_wait_ms / 1000

    @api.operation(
        "POST",
        "/v1/images/generations",
        tag=TAG,
        summary="Make images and wait for them",
        openai=True,
        body=ImagesRequest,
        need=Need.WRITE,
        headers={RETRY_COUNT: {"description": "How often OpenAI's client has sent this call before."}},
        responses=(
            ResponseSpec("The images, or with `stream` events", ImagesResponse, headers=(REQUEST_ID, *limits.HEADERS)),
            ResponseSpec(
                "With `stream`: comments with the progress, then an event for each image",
                content_type=stream.CONTENT_TYPE,
                schema=stream_schema.event(),
                example=stream_schema.EXAMPLE,
            ),
        ),
        refusals=(RateLimited, QuotaExceeded, Cancelled, Gone, StillWorking),
    )
    @limits.submitted_for(owner)
    def create_openai_images(body: ImagesRequest) -> ImagesResponse | Response:
        """Submit a request as `POST /api/images/generate` does, and wait for its images. The request goes on if its client
        leaves or the time is over: it is found by `x-request-id`. A repeat that an OpenAI client makes by itself joins the
        same user's identical open request and costs nothing."""
        g.request_id = request_id = calls.accepted(body)
        follow = partial(services.lookup.changes_until_final, request_id, wait_s)
        result = partial(outcome, services, request_id)
        if body.stream:
            return stream.response(follow(KEEP_ALIVE_S, g.credential_status), result, services.ports.store)
        for _ in follow(wait_s, g.credential_status):
            pass
        g.continues_elsewhere = services.watching.ended
        details = result()
        if body.delivery is ResponseFormat.URL:
            return delivery.images_response(details, PictureAddresses.here())
        return delivery.images_in_base64(details, services.ports.store)

    @api.operation(
        "POST",
        "/v1/images/edits",
        tag=TAG,
        summary="Not supported",
        openai=True,
        need=Need.WRITE,
        responses=(),
        refusals=(NotSupported,),
    )
    def edit_openai_image() -> NoReturn:
        """Input images are not supported yet: the answer says so."""
        raise NotSupported("Edits are not supported: this service takes no input images yet.")

    @api.operation(
        "POST",
        "/v1/images/variations",
        tag=TAG,
        summary="Not supported",
        openai=True,
        need=Need.WRITE,
        responses=(),
        refusals=(NotSupported,),
    )
    def vary_openai_image() -> NoReturn:
        """Input images are not supported yet: the answer says so."""
        raise NotSupported("Variations are not supported: this service takes no input images yet.")
