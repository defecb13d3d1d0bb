"""What the operations on requests for pictures send."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from imagefleet.calls.base import (
    EVENTS_READ_S,
    READ_S,
    Call,
    Listing,
    get,
    nothing,
    part,
    reading,
    reading_page,
    send,
    without_none,
)
from imagefleet.models import (
    Accepted,
    CacheMode,
    Cancelled,
    ImageRequest,
    InputPicture,
    InputReference,
    PicturesRemoved,
    Priority,
    Status,
)

IMAGES = "/api/images"
INPUTS = "/api/inputs"
# A picture of some MB takes a while to be checked, too.
UPLOAD_READ_S = 60.0


def submit(
    prompt: str,
    *,
    model: str | None,
    width: int | None,
    height: int | None,
    quality: str | None,
    number_of_images: int | None,
    parameters: Mapping[str, Any] | None,
    style: str | None,
    variables: Mapping[str, str] | None,
    user_id: str | None,
    deadline_ms: int | None,
    priority: Priority | None,
    cache: CacheMode | None,
    keep: int | None,
    input_images: Sequence[InputReference | Mapping[str, Any]] | None,
    webhook: str | Mapping[str, Any] | None,
    idempotency_key: str | None,
) -> Call[Accepted]:
    """A new request; what is None is left out."""
    named = {"width": width, "height": height, "quality": quality, "numberOfImages": number_of_images}
    body = {
        "prompt": prompt,
        "model": model,
        "parameters": {**(parameters or {}), **without_none(named)} or None,
        "style": style,
        "variables": variables,
        "userId": user_id,
        "deadlineMs": deadline_ms,
        "priority": priority,
        "cache": cache,
        "keep": keep,
        "inputImages": None if input_images is None else [_reference(each) for each in input_images],
        "webhook": {"url": webhook} if isinstance(webhook, str) else webhook,
    }
    return send("POST", f"{IMAGES}/generate", body, reading(Accepted)).with_key(idempotency_key)


def vary(
    request_id: str,
    *,
    prompt: str | None,
    number_of_images: int | None,
    strength: float | None,
    position: int | None,
    keep: int | None,
    idempotency_key: str | None,
) -> Call[Accepted]:
    """Variations of a picture."""
    body = {
        "prompt": prompt,
        "numberOfImages": number_of_images,
        "strength": strength,
        "position": position,
        "keep": keep,
    }
    return send("POST", f"{_one(request_id)}/variations", body, reading(Accepted)).with_key(idempotency_key)


def status(
    request_id: str, wait: float | None = None, since: int | None = None, *, read_s: float | None = None
) -> Call[Status]:
    """The status; held back by the server for up to `wait` seconds."""
    patience_s = READ_S + (wait or 0) if read_s is None else read_s
    return get(f"{_one(request_id)}/status", reading(Status), {"wait": wait, "since": since}, read_s=patience_s)


def details(request_id: str) -> Call[ImageRequest]:
    """The request with its result."""
    return get(_one(request_id), reading(ImageRequest))


def listing(*, user_id: str | None, status: str | None, parent_id: str | None, page_size: int) -> Listing[ImageRequest]:
    """Requests, newest first."""
    query = {"userId": user_id, "status": status, "parentId": parent_id, "limit": page_size}
    return Listing(IMAGES, query, reading_page(ImageRequest, "images"))


def cancel(request_id: str) -> Call[Cancelled]:
    """Cancel the request."""
    return Call("DELETE", _one(request_id), read=reading(Cancelled))


def remove_pictures(request_id: str) -> Call[PicturesRemoved]:
    """Remove its pictures."""
    return Call("DELETE", f"{_one(request_id)}/pictures", read=reading(PicturesRemoved))


def events(request_id: str) -> Call[None]:
    """Its event stream."""
    return Call("GET", f"{_one(request_id)}/events", read=nothing, read_s=EVENTS_READ_S)


def upload_input(content: bytes, user_id: str | None) -> Call[InputPicture]:
    """Upload a picture. Once too often does no harm: the first copy expires."""
    return Call(
        "POST",
        INPUTS,
        {"userId": user_id},
        {"Content-Type": "application/octet-stream"},
        content,
        reading(InputPicture),
        UPLOAD_READ_S,
        idempotent=True,
    )


def input_details(input_id: str) -> Call[InputPicture]:
    """What is known about an uploaded picture."""
    return get(f"{INPUTS}/{part(input_id, 'input ID')}", reading(InputPicture))


def remove_input(input_id: str) -> Call[None]:
    """Remove an uploaded picture."""
    return Call("DELETE", f"{INPUTS}/{part(input_id, 'input ID')}", read=nothing)


def _one(request_id: str) -> str:
    return f"{IMAGES}/{part(request_id, 'request ID')}"


def _reference(each: InputReference | Mapping[str, Any]) -> Mapping[str, Any]:
    return each.model_dump(exclude_none=True) if isinstance(each, InputReference) else each
