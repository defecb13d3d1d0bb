"""Image files: download the stored ones, and upload those that have no public address."""

from typing import BinaryIO, cast

from flask import Response, request

from app.container import Services
from app.domain.access import Need
from app.domain.errors import (
    AlreadyUploaded,
    Forbidden,
    Gone,
    InvalidRequest,
    MissingScope,
    NotFound,
    PayloadTooLarge,
    TooManyFailures,
    Unauthorized,
)
from app.services.auth_throttle import AuthThrottle
from app.services.generation import IMAGES_PATH
from app.web import delivery, picture_access
from app.web.api import Api, ResponseSpec
from app.web.delivery import Wanted
from app.web.public_url import public_url
from app.web.request_schemas import PictureQuery, UploadQuery
from app.web.schemas import UploadReceipt

TAG = "Files"
PICTURES = tuple(dict.fromkeys(delivery.CONTENT_TYPES.values()))
CACHE_HEADERS = ("ETag", "Cache-Control", "Accept-Ranges")


def operations(api: Api, services: Services, throttle: AuthThrottle) -> None:
    """Declare the operations of this module."""

    @api.operation(
        "GET",
        f"{IMAGES_PATH}<file>",
        tag=TAG,
        summary="Download an image",
        need=Need.NOTHING,
        query=PictureQuery,
        headers={
            "Range": {"description": "A part of the file (RFC 9110)."},
            "If-None-Match": {"description": "The ETag of your copy."},
            "If-Match": {"description": "The ETag that you want."},
        },
        responses=(
            *(ResponseSpec("The image", content_type=each, headers=CACHE_HEADERS) for each in PICTURES),
            *(
                ResponseSpec(
                    "The part of the image that Range names",
                    content_type=each,
                    status=206,
                    headers=(*CACHE_HEADERS, "Content-Range"),
                )
                for each in PICTURES
            ),
            ResponseSpec(
                "The image is there: at a CDN or in the storage, as the service is set up",
                status=302,
                headers=("Location", "Cache-Control"),
            ),
            ResponseSpec("Your copy is current", status=304, headers=("ETag", "Cache-Control")),
        ),
        refusals=(NotFound, Gone, InvalidRequest, Forbidden, MissingScope, Unauthorized, TooManyFailures),
        errors=(412, 416),
    )
    def get_picture(file: str, query: PictureQuery) -> Response:
        """A stored image, a thumbnail of it, or with `format` the image converted. It may be cached forever, because a file
        never changes. Where `URL_SIGNING` is required, this needs a signed address, or the API key or token of the
        image's owner or of an operator. After the removal of the image the answer is 410."""
        wanted = Wanted.read(file, query.format)
        permission = picture_access.permitted(services, throttle, wanted.picture, query.expires, query.signature)
        return delivery.response(services, wanted, permission)

    @api.operation(
        "PUT",
        "/api/uploads/<request_id>",
        tag=TAG,
        summary="Upload an image",
        need=Need.NOTHING,
        query=UploadQuery,
        takes="application/octet-stream",
        responses=(ResponseSpec("The image is stored", UploadReceipt),),
        refusals=(Forbidden, NotFound, AlreadyUploaded, InvalidRequest, PayloadTooLarge),
    )
    def upload_picture(request_id: str, query: UploadQuery) -> UploadReceipt:
        """For extensions whose images have no public address: `upload.url` of `generate_image` is this address, signed for
        one attempt. The body is the file itself, not a form and not base64. Each `position` accepts one image. Report the returned `imageUrl` in `image_generated`."""
        request.max_content_length = services.settings.max_image_bytes
        receipt = services.uploads.receive(
            request_id,
            query.attempt,
            query.expires,
            query.signature,
            query.position,
            cast("BinaryIO", request.stream),
            request.content_length,
        )
        return UploadReceipt(image_url=public_url(receipt.path), sha256=receipt.sha256, bytes=receipt.bytes)
