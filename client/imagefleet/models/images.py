"""Requests for pictures: their answers, statuses, results and events."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Any, Literal, cast

from pydantic import BeforeValidator, model_validator

from imagefleet.models.base import NOTHING, Answer, Many, Time

COMPLETED = "completed"
FINAL = frozenset({COMPLETED, "failed", "cancelled"})
FINAL_EVENTS = frozenset({"ImageGeneratedEvent", "ImageGenerationFailedEvent", "ImageGenerationCancelledEvent"})

Priority = Literal["high", "normal", "low", "idle"]
CacheMode = Literal["off", "prefer", "only"]


def _seed(value: object) -> object:
    """A whole number or a text; None for anything else, since others than the server choose it."""
    return value if isinstance(value, int | str) and not isinstance(value, bool) else None


Seed = Annotated[int | str | None, BeforeValidator(_seed)]


class Eta(Answer):
    """When something will probably happen: as likely before as after `p50`, and in nine of ten cases before `p90`."""

    p50: Time
    p90: Time
    p50_seconds: float | None = None
    p90_seconds: float | None = None


class QueuePosition(Answer):
    """Why a request waits, and its position in the queue (1 is next; None while it is held back).

    `reason` explains it in a sentence, `reason_code` for programs, `remedy` says what would help. `eta` is when it will
    probably start; it fails if no extension has taken it by `waits_until`.
    """

    position: int | None = None
    reason: str | None = None
    reason_code: str | None = None
    remedy: str | None = None
    eligible_extensions: int | None = None
    busy_slots: int | None = None
    total_slots: int | None = None
    eta: Eta | None = None
    waits_until: Time | None = None


class Accepted(Answer):
    """The server accepted the request. With a deadline, it waits for an extension until `waits_until`.

    It gets the pictures of the completed request `cached_from`, or of `follows`, which is in progress; both None if its own
    are made.
    """

    request_id: str
    status: str
    message: str | None = None
    waits_until: Time | None = None
    cached: bool | None = None
    cached_from: str | None = None
    follows: str | None = None
    queue: QueuePosition | None = None
    correlation_id: str | None = None
    timestamp: Time | None = None


class Cancelled(Answer):
    """The server cancelled the request."""

    request_id: str
    status: str
    message: str | None = None
    correlation_id: str | None = None
    timestamp: Time | None = None


class PicturesRemoved(Answer):
    """The pictures of a request were removed."""

    request_id: str
    pictures_removed_at: Time
    correlation_id: str | None = None
    timestamp: Time | None = None


class Status(Answer):
    """The status of a request. `progress` is in percent, `version` rises with every change, `message` is the extension's.

    `code`, `error` and `reason` explain why it failed.
    """

    request_id: str
    status: str
    progress: int = 0
    message: str | None = None
    queue: QueuePosition | None = None
    code: str | None = None
    error: str | None = None
    reason: str | None = None
    cached: bool | None = None
    cached_from: str | None = None
    follows: str | None = None
    version: int | None = None
    correlation_id: str | None = None
    created_at: Time | None = None
    updated_at: Time | None = None
    timestamp: Time | None = None

    @property
    def is_final(self) -> bool:
        """True once the status can no longer change."""
        return self.status in FINAL

    @model_validator(mode="before")
    @classmethod
    def _fill_in_progress(cls, data: Any) -> Any:
        """A result of the original contract has no progress."""
        if isinstance(data, Mapping) and data.get("progress") is None:
            return {**cast("Mapping[str, Any]", data), "progress": 100 if data.get("status") == COMPLETED else 0}
        return data


class Metadata(Answer):
    """How the pictures were made. Sizes in px. `ignored_parameters` had no effect."""

    model: str | None = None
    prompt: str | None = None
    width: int | None = None
    height: int | None = None
    seed: Seed = None
    seeds: Many[int | str] = ()
    revised_prompt: str | None = None
    ignored_parameters: Many[str] = ()
    generated_at: Time | None = None


class StoredPicture(Answer):
    """One picture stored on the server at `image_path`. Sizes in px; `bytes` is the size of the file.

    `signed_url` is an address that can be shown and expires, `thumbnails` are addresses by the px of the longer side.
    """

    image_path: str
    image_url: str | None = None
    signed_url: str | None = None
    thumbnails: Mapping[str, str] = NOTHING
    width: int | None = None
    height: int | None = None
    bytes: int | None = None
    sha256: str | None = None


class ImageRequest(Status):
    """A request in full: its status and, once completed, its pictures. `parameters` are those that were requested.

    After `pictures_removed_at` it has no pictures any more. `prompt` of the metadata is what was made of `original_prompt` by
    `style`. `batch_id`, `index` and `custom_id` are those of an item of a batch.
    """

    image_url: str | None = None
    image_path: str | None = None
    images: Many[StoredPicture] = ()
    keep_until: Time | None = None
    pictures_removed_at: Time | None = None
    metadata: Metadata = Metadata()
    parameters: Mapping[str, Any] = NOTHING
    style: str | None = None
    variables: Mapping[str, str] = NOTHING
    original_prompt: str | None = None
    batch_id: str | None = None
    index: int | None = None
    custom_id: str | None = None
    retry_of: str | None = None
    replaced_by: str | None = None
    parent_id: str | None = None
    children: Many[str] = ()
    user_id: str | None = None

    @property
    def seed(self) -> int | str | None:
        """The seed that was used, or else the requested one unless it had no effect."""
        if self.metadata.seed is not None or "seed" in self.metadata.ignored_parameters:
            return self.metadata.seed
        value = _seed(self.parameters.get("seed"))
        return value if isinstance(value, int | str) else None

    @model_validator(mode="before")
    @classmethod
    def _list_the_picture(cls, data: Any) -> Any:
        """A server that names only one picture yields a list of one."""
        if not isinstance(data, Mapping) or data.get("images") or not data.get("imagePath"):
            return data
        metadata = data.get("metadata")
        size = metadata if isinstance(metadata, Mapping) else {}
        only = {
            "imagePath": data["imagePath"],
            "imageUrl": data.get("imageUrl"),
            "width": size.get("width"),
            "height": size.get("height"),
        }
        return {**cast("Mapping[str, Any]", data), "images": [only]}


class Event(Answer):
    """An event of a request: a stored event with its number `seq`, or progress, which has none.

    `data` is the event's own data, with the field names of the API.
    """

    type: str
    request_id: str
    status: str | None = None
    seq: int | None = None
    progress: int | None = None
    message: str | None = None
    timestamp: Time | None = None
    data: Mapping[str, Any] = NOTHING

    @property
    def is_final(self) -> bool:
        """True for the last event of a request."""
        return self.type in FINAL_EVENTS


class InputPicture(Answer):
    """An uploaded picture that requests can be made from until `expires_at`. Sizes in px; `bytes` is that of the stored PNG."""

    input_id: str
    width: int | None = None
    height: int | None = None
    bytes: int | None = None
    sha256: str | None = None
    mime_type: str | None = None
    expires_at: Time | None = None
    user_id: str | None = None
    correlation_id: str | None = None
    timestamp: Time | None = None


class InputReference(Answer):
    """A picture that a request is made from: an uploaded one (`input_id`), or one of a completed request.

    `position` counts that request's pictures from 0; `role` is image or mask; `strength`, 0 to 1, how much may change.
    """

    input_id: str | None = None
    request_id: str | None = None
    position: int | None = None
    role: Literal["image", "mask"] | None = None
    strength: float | None = None
