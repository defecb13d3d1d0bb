"""A call with `stream`: comments with the progress and partial images while it is made, then an event for each picture, or one
with the error.
"""

import json
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack
from typing import Any

from flask import Response

from app.db.images import StoredImage
from app.db.jobs import Job
from app.domain.errors import Refusal
from app.services.lookup import JobDetails
from app.web.api import json_text
from app.web.openai import delivery, errors
from app.web.openai.delivery import Files
from app.web.openai.event_types import Kind
from app.web.openai.partials import PartialImages
from app.web.openai.schemas import AUTO, CompletedEvent

CONTENT_TYPE = "text/event-stream"

Changes = Iterator[Mapping[str, Any] | None]


def response(
    changes: Changes, outcome: Callable[[], JobDetails[Job]], files: Files, kind: Kind, partials: PartialImages
) -> Response:
    """The stream with events of this kind. `outcome` is called once after the last change; it raises Refusal if there are no pictures."""
    return Response(
        _stream(changes, outcome, files, kind, partials),
        content_type=f"{CONTENT_TYPE}; charset=utf-8",
        headers={"X-Accel-Buffering": "no"},
    )


def _stream(
    changes: Changes, outcome: Callable[[], JobDetails[Job]], files: Files, kind: Kind, partials: PartialImages
) -> Iterator[bytes]:
    try:
        yield b": accepted\n\n"
        yield from partials.earlier()
        for change in changes:
            if change is None:
                yield b": keep-alive\n\n"
            elif "preview" in change:
                yield from partials.next_of(change["preview"]["position"])
            else:
                yield f": progress {change['progress']}\n\n".encode()
        details = outcome()
        for image in details.images:
            yield from _completed(details.job, image, files, kind)
    except Refusal as refusal:
        body = errors.body(refusal.status, refusal.code, refusal.detail, refusal.field)
        yield f"event: error\ndata: {json.dumps({'type': 'error', **body.model_dump()})}\n\n".encode()


def _completed(job: Job, image: StoredImage, files: Files, kind: Kind) -> Iterator[bytes]:
    values: dict[str, Any] = {
        "type": f"{kind}.completed",
        "b64_json": delivery.HERE,
        "created_at": (job.generated_at or job.updated_at) // 1000,
        "size": delivery.size(image),
        "quality": str(job.parameters.get("quality", AUTO)),
        "background": str(job.parameters.get("background", AUTO)),
        "output_format": files.output_format,
    }
    event = CompletedEvent(**values)
    text = f"event: {event.type}\ndata: {json_text(event)}\n\n"
    with ExitStack() as opened:
        yield from delivery.encode(text, [image], files, opened)
