"""`/v1/images`: a request that is submitted and waited for in one call."""

from flask import Response
from flask_limiter import Limiter

from app.container import Services
from app.domain.access import Need
from app.domain.errors import Gone, QuotaExceeded, RateLimited
from app.web import limits
from app.web.api import Api, ResponseSpec
from app.web.openai import edits, stream, stream_schema
from app.web.openai.answers import wait_for
from app.web.openai.calls import RETRY_COUNT, TAG, Calls, owner
from app.web.openai.errors import REQUEST_ID, Cancelled, StillWorking
from app.web.openai.schemas import ImagesRequest, ImagesResponse


def operations(api: Api, services: Services, limiter: Limiter) -> None:
    """Declare the operations of this module."""
    calls = Calls(services, limiter)
    edits.operations(api, services, calls)

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
                "With `stream`: comments with the progress and partial images, then an event for each image",
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
        return wait_for(services, calls.accepted(body), body)
