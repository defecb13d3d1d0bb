"""Image files: download the stored ones, and upload those that have no public address."""

from typing import BinaryIO, cast

from flask import Response, request
from werkzeug.exceptions import PreconditionFailed
from werkzeug.wsgi import wrap_file

from app.container import Services
from app.domain.access import Need
from app.domain.errors import AlreadyUploaded, Forbidden, InvalidRequest, NotFound, PayloadTooLarge
from app.domain.images import is_file_name
from app.services.generation import IMAGES_PATH
from app.web import presenters
from app.web.api import Api, ResponseSpec
from app.web.request_schemas import UploadQuery
from app.web.schemas import UploadReceipt

TAG = "Files"
HEADERS = {
    # A file never changes, and its name is never used again.
    "Cache-Control": "public, max-age=31536000, immutable",
    "Content-Security-Policy": "default-src 'none'; sandbox",
    "Cross-Origin-Resource-Policy": "cross-origin",
}
CACHE_HEADERS = ("ETag", "Cache-Control", "Accept-Ranges")


def operations(api: Api, services: Services) -> None:
    """Declare the operations of this module."""

    @api.operation(
        "GET",
        f"{IMAGES_PATH}<file>",
        tag=TAG,
        summary="Download an image",
        need=Need.NOTHING,
        headers={
            "Range": {"description": "A part of the file (RFC 9110)."},
            "If-None-Match": {"description": "The ETag of your copy."},
            "If-Match": {"description": "The ETag that you want."},
        },
        responses=(
            ResponseSpec("The image", content_type="image/png", headers=CACHE_HEADERS),
            ResponseSpec(
                "The part of the image that Range names",
                content_type="image/png",
                status=206,
                headers=(*CACHE_HEADERS, "Content-Range"),
            ),
            ResponseSpec("Your copy is current", status=304, headers=("ETag", "Cache-Control")),
        ),
        refusals=(NotFound,),
        errors=(412, 416),
    )
    def get_picture(file: str) -> Response:
        """A stored image. It may be cached forever, because a file never changes."""
        image = services.lookup.picture(file) if is_file_name(file) else None
        content = None if image is None else services.ports.store.open(file)
        if image is None or content is None:
            raise NotFound("Not found: there is no image with this name.")
        response = Response(wrap_file(request.environ, content), content_type="image/png", direct_passthrough=True)
        response.content_length = image.bytes
        response.headers.update(HEADERS)
        response.set_etag(image.sha256)
        response.call_on_close(content.close)
        _check_if_match(image.sha256)
        _adapt_range(image.bytes)
        response.make_conditional(request, accept_ranges=True, complete_length=image.bytes)
        return response

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
        return UploadReceipt(image_url=presenters.public_url(receipt.path), sha256=receipt.sha256, bytes=receipt.bytes)


def _check_if_match(etag: str) -> None:
    """werkzeug would take `*` for an ETag, and send the image with 412. Raises PreconditionFailed."""
    wanted = request.if_match
    if request.environ.pop("HTTP_IF_MATCH", None) is not None and not (wanted.star_tag or wanted.is_strong(etag)):
        raise PreconditionFailed


def _adapt_range(size: int) -> None:
    """An invalid Range is ignored (RFC 9110, section 14.2), and so is one of several parts, which are not supported.

    The last N bytes of a file with fewer are the whole file (section 14.1.2), which werkzeug would refuse.
    """
    wanted = request.range
    if wanted is None or wanted.units != "bytes" or len(wanted.ranges) > 1:
        request.environ.pop("HTTP_RANGE", None)
    elif wanted.ranges[0][0] <= -size:
        request.environ["HTTP_RANGE"] = "bytes=0-"
