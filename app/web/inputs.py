"""Input pictures: upload, get, remove."""

from flask import Response, g, request
from flask_limiter import Limiter
from werkzeug.wsgi import wrap_file

from app.container import Services
from app.domain.access import Need
from app.domain.clock import wire_now
from app.domain.errors import (
    Forbidden,
    InvalidImage,
    InvalidRequest,
    NotFound,
    PayloadTooLarge,
    QuotaExceeded,
    RateLimited,
)
from app.domain.ids import is_request_id
from app.domain.image_request import DEFAULT_USER
from app.domain.input_urls import InputGrant
from app.web import form_files, limits
from app.web.api import Api, ResponseSpec
from app.web.input_schemas import PNG, InputDetails, InputQuery, InputRemoved
from app.web.request_schemas import InputUrlQuery

TAG = "Input pictures"
INPUTS = "/api/inputs"
ONE_INPUT = f"{INPUTS}/<input_id>"
FILE = "file"  # the field of a form
FORM = {"type": "object", "properties": {FILE: form_files.BINARY_FILE}, "required": [FILE]}


def operations(api: Api, services: Services, limiter: Limiter) -> None:
    """Declare the operations of this module."""

    @api.operation(
        "POST",
        INPUTS,
        tag=TAG,
        summary="Upload an input picture",
        need=Need.WRITE,
        query=InputQuery,
        takes=form_files.BINARY,
        form=FORM,
        responses=(ResponseSpec("The picture is stored", InputDetails, status=201, headers=limits.HEADERS),),
        refusals=(Forbidden, InvalidImage, InvalidRequest, PayloadTooLarge, RateLimited, QuotaExceeded),
    )
    @limits.submitted_for(_uploader)
    @limits.per_submission(limiter, services.settings.limits, limits.REQUESTS)
    def upload_input(query: InputQuery) -> InputDetails:
        """A picture that requests can name in `inputImages` until it expires. The body is the file itself (PNG, JPEG or WEBP;
        `image/png`, `image/jpeg` and `image/webp` are accepted as Content-Type too), or a form with it in the field `file`. It is
        checked and cleaned as results are: what is stored is a PNG without metadata. It costs one token of the rate limit."""
        most = services.settings.max_image_bytes
        stream, length = form_files.picture_of_body(most, FILE)
        stored = services.inputs.receive(g.user_id, stream, length)
        return InputDetails.of(stored, g.correlation_id, wire_now())

    @api.operation(
        "GET",
        ONE_INPUT,
        tag=TAG,
        summary="Get an input picture",
        responses=(ResponseSpec("About the picture", InputDetails),),
        refusals=(NotFound,),
    )
    def get_input(input_id: str) -> InputDetails:
        """What is known about an input picture of yours, until it expires. The picture itself is not served."""
        stored = services.inputs.find(_checked_id(input_id), g.caller.visible_user)
        return InputDetails.of(stored, g.correlation_id, wire_now())

    @api.operation(
        "DELETE",
        ONE_INPUT,
        tag=TAG,
        summary="Remove an input picture",
        need=Need.WRITE,
        responses=(ResponseSpec("The picture is removed", InputRemoved),),
        refusals=(NotFound,),
    )
    def remove_input(input_id: str) -> InputRemoved:
        """Remove an input picture before it expires. Requests that were submitted with it are not affected."""
        stored = services.inputs.remove(_checked_id(input_id), g.caller.visible_user)
        return InputRemoved(input_id=stored.id, correlation_id=g.correlation_id, timestamp=wire_now())

    @api.operation(
        "GET",
        f"{INPUTS}/<request_id>/<int:attempt>/<int:position>",
        tag=TAG,
        summary="Get an input picture of an attempt",
        need=Need.NOTHING,
        query=InputUrlQuery,
        responses=(ResponseSpec("The picture", content_type=PNG),),
        refusals=(Forbidden, NotFound),
    )
    def download_input(request_id: str, attempt: int, position: int, query: InputUrlQuery) -> Response:
        """For extensions: `url` of `inputImages` in `generate_image` is this address, signed for one picture of one attempt. It
        answers as long as the extension holds the request, so that a download that broke off can be repeated; once the attempt has
        ended, or expires, it is 403."""
        grant = InputGrant(request_id, attempt, position, query.expires)
        opened = services.input_images.opened(grant, query.signature)
        response = Response(wrap_file(request.environ, opened.content), content_type=PNG, direct_passthrough=True)
        response.content_length = opened.picture.bytes
        response.headers["Content-Security-Policy"] = "default-src 'none'; sandbox"
        response.headers["Cross-Origin-Resource-Policy"] = "cross-origin"
        response.call_on_close(opened.content.close)
        return response


def _checked_id(text: str) -> str:
    """The id in lower case, as it is stored. Raises NotFound for text that cannot be an id."""
    if not is_request_id(text.lower()):
        raise NotFound("Not found: an input id is a UUID, as returned by POST /api/inputs.")
    return text.lower()


def _uploader(query: InputQuery) -> str:
    """The user that the picture belongs to. Raises Forbidden."""
    return g.caller.user_for(query.user_id) or DEFAULT_USER
