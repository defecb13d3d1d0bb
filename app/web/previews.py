"""The preview of an image that is being made."""

import base64

from flask import Response, g

from app.container import Services
from app.domain.errors import NotFound
from app.web.api import Api, ResponseSpec
from app.web.images import ONE_REQUEST, TAG, checked_id
from app.web.request_schemas import PreviewQuery

TYPES = ("image/webp", "image/png")


def operations(api: Api, services: Services) -> None:
    """Declare the operations of this module."""

    @api.operation(
        "GET",
        f"{ONE_REQUEST}/preview",
        tag=TAG,
        summary="Get a preview",
        query=PreviewQuery,
        responses=tuple(ResponseSpec("What there is of the image by now", content_type=each) for each in TYPES),
        refusals=(NotFound,),
    )
    def get_preview(request_id: str, query: PreviewQuery) -> Response:
        """The latest preview of an image that is being made. There is none before the first one, none a minute after the last
        one, and none after the end. Extensions are asked for previews of requests of `/v1` with `partial_images`, and with
        `PREVIEWS=on` of all requests; not all of them can make any."""
        found = services.previews.latest(checked_id(request_id), query.position, g.caller.visible_user)
        content = base64.b64decode(found.data)
        return Response(content, content_type=found.mime_type)
