"""A call with `stream`: comments with the progress while it is made, then an event for each picture, or one with the error.

There are no partial pictures, so no event claims to be one.
"""

import json
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack
from typing import Any, Literal

from flask import Response

from app.db.images import StoredImage
from app.db.jobs import Job
from app.domain.errors import Refusal
from app.services.lookup import JobDetails
from app.web.api import json_text
from app.web.openai import delivery, errors
from app.web.openai.delivery import Files
from app.web.openai.schemas import AUTO, CompletedEvent

CONTENT_TYPE = "text/event-stream"
EventType = Literal["image_generation.completed", "image_edit.completed"]
GENERATED: EventType = "image_generation.completed"
EDITED: EventType = "image_edit.completed"

Changes = Iterator[Mapping[str, Any] | None]


def response(changes: Changes, outcome: Callable[[], JobDetails[Job]], files: Files, event: EventType) -> Response:
    """The stream with events of this type. `outcome` is called once after the last change; it raises Refusal if there are no pictures."""
    return Response(
        _stream(changes, outcome, files, event),
        content_type=f"{CONTENT_TYPE}; charset=utf-8",
        headers={"X-Accel-Buffering": "no"},
    )


def _stream(changes: Changes, outcome: Callable[[], JobDetails[Job]], files: Files, kind: EventType) -> Iterator[bytes]:
    try:
        yield b": accepted\n\n"
        for change in changes:
            yield b": keep-alive\n\n" if change is None else f": progress {change['progress']}\n\n".encode()
        details = outcome()
        for image in details.images:
            yield from _completed(details.job, image, files, kind)
    except Refusal as refusal:
        body = errors.body(refusal.status, refusal.code, refusal.detail, refusal.field)
        yield f"event: error\ndata: {json.dumps({'type': 'error', **body.model_dump()})}\n\n".encode()


def _completed(job: Job, image: StoredImage, files: Files, kind: EventType) -> Iterator[bytes]:
    event = CompletedEvent(
        type=kind,
        b64_json=delivery.HERE,
        created_at=(job.generated_at or job.updated_at) // 1000,
        size=delivery.size(image),
        quality=str(job.parameters.get("quality", AUTO)),
        background=str(job.parameters.get("background", AUTO)),
        output_format=files.output_format,
    )
    text = f"event: {event.type}\ndata: {json_text(event)}\n\n"
    with ExitStack() as opened:
        yield from delivery.encode(text, [image], files, opened)
