"""The answer to a call whose request is accepted: it waits for the pictures, or streams what happens."""

from functools import partial

from flask import Response, g

from app.container import Services
from app.web.openai import delivery, stream
from app.web.openai.delivery import Files
from app.web.openai.event_types import GENERATION, Kind
from app.web.openai.outcome import outcome
from app.web.openai.partials import PartialImages
from app.web.openai.schemas import PNG, ImagesRequest, ImagesResponse, ResponseFormat
from app.web.picture_addresses import PictureAddresses
from app.web.streams import KEEP_ALIVE_S


def wait_for(
    services: Services, request_id: str, body: ImagesRequest, kind: Kind = GENERATION
) -> ImagesResponse | Response:
    """The pictures of the request once they are made. The events of a stream are of this kind.

    Raises Failed, Cancelled, Gone, StillWorking, Unavailable.
    """
    g.request_id = request_id
    wait_s = services.settings.openai_wait_ms / 1000
    follow = partial(services.lookup.changes_until_final, request_id, wait_s, previews=body.previews > 0)
    result = partial(outcome, services, request_id)
    files = Files(services, body.output_format or PNG)
    if body.stream:
        partials = PartialImages(services.previews, request_id, body, kind)
        return stream.response(follow(KEEP_ALIVE_S, g.credential_status), result, files, kind, partials)
    for _ in follow(wait_s, g.credential_status):
        pass
    g.continues_elsewhere = services.watching.ended
    details = result()
    if body.delivery is ResponseFormat.URL:
        return delivery.images_response(details, PictureAddresses.here(), files.output_format)
    return delivery.images_in_base64(details, files)
