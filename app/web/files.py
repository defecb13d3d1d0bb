"""Pictures out, and pictures in that have no public address."""

from __future__ import annotations

from typing import BinaryIO, cast

from flask import Response, request
from werkzeug.http import parse_range_header
from werkzeug.wsgi import wrap_file

from app.container import Services
from app.domain.access import Need
from app.domain.errors import AlreadyUploaded, Forbidden, InvalidRequest, NotFound, PayloadTooLarge
from app.domain.images import is_file_name
from app.services.generation import IMAGES_PATH
from app.web import presenters
from app.web.api import Answer, Api
from app.web.request_schemas import UploadQuery
from app.web.schemas import UploadReceipt

TAG = "Files"
HEADERS = {
    # A file never changes and its name is never used again.
    "Cache-Control": "public, max-age=31536000, immutable",
    "Content-Security-Policy": "default-src 'none'; sandbox",
    "Cross-Origin-Resource-Policy": "cross-origin",
    "X-Content-Type-Options": "nosniff",
}

KEPT = ("ETag", "Cache-Control", "Accept-Ranges")


def operations(api: Api, services: Services) -> None:
    """Declare them."""

    @api.operation(
        "GET",
        f"{IMAGES_PATH}<file>",
        tag=TAG,
        summary="A picture",
        need=Need.NOTHING,
        headers={"Range": "Part of the file, as RFC 9110 has it.", "If-None-Match": "The ETag you have."},
        answers=(
            Answer("The picture", content_type="image/png", headers=KEPT),
            Answer(
                "The part of it that Range asked for",
                content_type="image/png",
                status=206,
                headers=(*KEPT, "Content-Range"),
            ),
            Answer("You have it already", status=304, headers=("ETag", "Cache-Control")),
        ),
        refusals=(NotFound,),
        errors=(416,),
    )
    def get_picture(file: str) -> Response:
        """A stored picture. It can be kept for ever: a file never changes."""
        image = services.lookup.picture(file) if is_file_name(file) else None
        content = None if image is None else services.ports.store.open(file)
        if image is None or content is None:
            raise NotFound("There is no picture of that name.")
        response = Response(wrap_file(request.environ, content), content_type="image/png", direct_passthrough=True)
        response.content_length = image.bytes
        response.headers.update(HEADERS)
        response.set_etag(image.sha256)
        response.call_on_close(content.close)
        _pass_over_strange_range()
        response.make_conditional(request, accept_ranges=True, complete_length=image.bytes)
        return response

    @api.operation(
        "PUT",
        "/api/uploads/<request_id>",
        tag=TAG,
        summary="Hand over a picture",
        need=Need.NOTHING,
        query=UploadQuery,
        takes="application/octet-stream",
        answers=(Answer("The bytes are here", UploadReceipt),),
        refusals=(Forbidden, NotFound, AlreadyUploaded, InvalidRequest, PayloadTooLarge),
    )
    def upload_picture(request_id: str, query: UploadQuery) -> UploadReceipt:
        """For extensions whose pictures have no public address: `upload.url` of `generate_image` is this address, signed
        for one attempt; each `position` takes one picture. Report the answered `imageUrl` in `image_generated`."""
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
        return UploadReceipt(image_url=presenters.public_url(receipt.path), sha256=receipt.sha256, bytes=receipt.bytes)


def _pass_over_strange_range() -> None:
    """A Range that is not understood counts as none (RFC 9110, section 14.2), and so does one of several parts."""
    asked = parse_range_header(request.headers.get("Range"))
    if asked is None or asked.units != "bytes" or len(asked.ranges) > 1:
        request.environ.pop("HTTP_RANGE", None)
