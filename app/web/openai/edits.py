"""`/v1/images/edits` and `/v1/images/variations`: requests that are made from the pictures of a form."""

from flask import Response, g

from app.container import Services
from app.domain.access import Need
from app.domain.errors import (
    Gone,
    InvalidImage,
    InvalidPrompt,
    InvalidRequest,
    PayloadTooLarge,
    QuotaExceeded,
    RateLimited,
)
from app.web import limits
from app.web.api import Api, ResponseSpec
from app.web.openai import forms, stream, stream_schema
from app.web.openai.answers import wait_for
from app.web.openai.calls import RETRY_COUNT, TAG, Calls, owner
from app.web.openai.errors import REQUEST_ID, Cancelled, StillWorking
from app.web.openai.event_types import EDIT, GENERATION
from app.web.openai.schemas import ImagesResponse

HEADERS = {RETRY_COUNT: {"description": "How often OpenAI's client has sent this call before."}}
REFUSALS = (
    *(RateLimited, QuotaExceeded, Cancelled, Gone, StillWorking),
    *(InvalidRequest, InvalidPrompt, InvalidImage, PayloadTooLarge),
)


def operations(api: Api, services: Services, calls: Calls) -> None:
    """Declare the operations of this module."""
    most = services.settings.max_image_bytes

    @api.operation(
        "POST",
        "/v1/images/edits",
        tag=TAG,
        summary="Edit images and wait for the result",
        openai=True,
        form=forms.schema(edits=True),
        need=Need.WRITE,
        headers=HEADERS,
        responses=(
            ResponseSpec("The images, or with `stream` events", ImagesResponse, headers=(REQUEST_ID, *limits.HEADERS)),
            ResponseSpec(
                "With `stream`: comments with the progress and partial images, then an event for each image",
                content_type=stream.CONTENT_TYPE,
                schema=stream_schema.event(EDIT),
                example=stream_schema.EXAMPLE.replace(GENERATION, EDIT),
            ),
        ),
        refusals=REFUSALS,
    )
    def edit_openai_image() -> ImagesResponse | Response:
        """Make images from those of the form: `image`, or several `image[]`, up to four with the `mask`, which is as large as the
        first one and transparent where that is to be changed. Without a mask an extension that announces `image-variation`
        makes them, otherwise one that announces `image-edit`. The other fields are those of `/v1/images/generations`."""
        call = forms.read(most, edits=True)
        g.user_id = owner(call.body)
        return wait_for(services, calls.accepted(call.body, call), call.body, EDIT)

    @api.operation(
        "POST",
        "/v1/images/variations",
        tag=TAG,
        summary="Make variations of an image and wait for them",
        openai=True,
        form=forms.schema(edits=False),
        need=Need.WRITE,
        headers=HEADERS,
        responses=(ResponseSpec("The images", ImagesResponse, headers=(REQUEST_ID, *limits.HEADERS)),),
        refusals=REFUSALS,
    )
    def vary_openai_image() -> ImagesResponse | Response:
        """Make variations of the `image` of the form. An extension that announces `image-variation` makes them."""
        call = forms.read(most, edits=False)
        g.user_id = owner(call.body)
        return wait_for(services, calls.accepted(call.body, call), call.body)
