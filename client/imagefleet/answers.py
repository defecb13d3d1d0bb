"""The server's responses as frozen dataclasses. An optional field that the server left out is None.

`body` is the response as the server sent it, with all fields and the names of the API.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Self

from imagefleet.wire import Fields

COMPLETED = "completed"
FINAL = frozenset({COMPLETED, "failed", "cancelled"})
FINAL_EVENTS = frozenset({"ImageGeneratedEvent", "ImageGenerationFailedEvent", "ImageGenerationCancelledEvent"})


@dataclass(frozen=True, slots=True)
class Accepted:
    """The server accepted the request. With a deadline, it waits for an extension until `waits_until`.

    It gets the pictures of the completed request `cached_from`, or of `follows`, which is in progress; both None if its own
    are made.
    """

    request_id: str
    status: str
    message: str | None = None
    correlation_id: str | None = None
    timestamp: datetime | None = None
    waits_until: datetime | None = None
    cached_from: str | None = None
    follows: str | None = None
    body: Mapping[str, Any] = field(default_factory=dict, compare=False, repr=False)

    @classmethod
    def read(cls, fields: Fields) -> Self:
        """From a response to POST /api/images/generate."""
        return cls(
            **_common_fields(fields),
            waits_until=fields.time("waits_until"),
            cached_from=fields.optional_text("cached_from"),
            follows=fields.optional_text("follows"),
        )


class Cancelled(Accepted):
    """The server cancelled the request."""


@dataclass(frozen=True, slots=True)
class Queue:
    """The position of a waiting request in the queue (1 is next; None while it is held back).

    `reason` explains in a sentence why it waits, `reason_code` for programs, `remedy` says what would help. As likely as not it
    starts by `starts_p50`, and with 90 % probability by `starts_p90`. It fails if no extension has taken it by `waits_until`.
    These times are no news where they alone have changed.
    """

    position: int | None
    reason: str | None
    waits_until: datetime | None = field(default=None, compare=False)
    reason_code: str | None = None
    remedy: str | None = None
    starts_p50: datetime | None = field(default=None, compare=False)
    starts_p90: datetime | None = field(default=None, compare=False)

    @classmethod
    def read(cls, fields: Fields | None) -> Self | None:
        """From the `queue` of a status, if there is one."""
        if fields is None:
            return None
        eta = fields.part("eta")
        return cls(
            position=fields.whole("position"),
            reason=fields.optional_text("reason"),
            waits_until=fields.time("waits_until"),
            reason_code=fields.optional_text("reason_code"),
            remedy=fields.optional_text("remedy"),
            starts_p50=None if eta is None else eta.time("p50"),
            starts_p90=None if eta is None else eta.time("p90"),
        )


@dataclass(frozen=True, slots=True)
class ImageStatus:
    """The status of a request. `progress` is in percent, `version` rises with every change, `message` is the extension's.

    `code`, `error`, `reason` and `retryable` explain why a request failed.
    """

    request_id: str
    status: str
    progress: int = 0
    message: str | None = None
    correlation_id: str | None = None
    timestamp: datetime | None = None
    version: int | None = None
    queue: Queue | None = None
    code: str | None = None
    error: str | None = None
    reason: str | None = None
    retryable: bool | None = None
    body: Mapping[str, Any] = field(default_factory=dict, compare=False, repr=False)

    @property
    def is_final(self) -> bool:
        """True once the status can no longer change."""
        return self.status in FINAL

    @classmethod
    def read(cls, fields: Fields) -> Self:
        """From a response to GET /api/images/{id}/status."""
        return cls(**_common_fields(fields), **_status_fields(fields))


@dataclass(frozen=True, slots=True)
class Metadata:
    """How the picture was generated. Sizes in px. A seed beyond 2^53 may be a text of digits.

    `ignored_parameters` had no effect.
    """

    model: str | None = None
    prompt: str | None = None
    width: int | None = None
    height: int | None = None
    seed: int | str | None = None
    generated_at: datetime | None = None
    ignored_parameters: tuple[str, ...] = ()

    @classmethod
    def read(cls, fields: Fields | None) -> Self:
        """From the `metadata` of a result; empty where there is none."""
        if fields is None:
            return cls()
        return cls(
            model=fields.optional_text("model"),
            prompt=fields.optional_text("prompt"),
            width=fields.whole("width"),
            height=fields.whole("height"),
            seed=fields.name_or_number("seed"),
            generated_at=fields.time("generated_at"),
            ignored_parameters=fields.texts("ignored_parameters") or (),
        )


@dataclass(frozen=True, slots=True)
class StoredImage:
    """One picture stored on the server at `image_path`. Sizes in px; `bytes` is the size of the file."""

    image_path: str
    image_url: str | None = None
    width: int | None = None
    height: int | None = None
    bytes: int | None = None
    sha256: str | None = None

    @classmethod
    def read(cls, fields: Fields) -> Self:
        """From an item of `images`."""
        return cls(
            image_path=fields.text("image_path"),
            image_url=fields.optional_text("image_url"),
            width=fields.whole("width"),
            height=fields.whole("height"),
            bytes=fields.whole("bytes"),
            sha256=fields.optional_text("sha256"),
        )


@dataclass(frozen=True, slots=True)
class GeneratedImage(ImageStatus):
    """A request in full: its status and, once completed, its pictures. `parameters` are those that were requested.

    After `pictures_removed_at` it has no pictures any more: they were removed, or kept as long as was asked for.
    """

    image_url: str | None = None
    image_path: str | None = None
    images: tuple[StoredImage, ...] = ()
    metadata: Metadata = Metadata()
    parameters: Mapping[str, Any] = field(default_factory=dict)
    pictures_removed_at: datetime | None = None

    @property
    def seed(self) -> int | str | None:
        """The seed that was used, or else the requested one unless it had no effect."""
        if self.metadata.seed is not None or "seed" in self.metadata.ignored_parameters:
            return self.metadata.seed
        return Fields(self.parameters).name_or_number("seed")

    @classmethod
    def read(cls, fields: Fields) -> Self:
        """From a response to GET /api/images/{id}. A server that names only one picture yields a list of one."""
        metadata = Metadata.read(fields.part("metadata"))
        url, path = fields.optional_text("image_url"), fields.optional_text("image_path")
        parameters = fields.part("parameters")
        images = tuple(StoredImage.read(each) for each in fields.parts("images"))
        if path and not images:
            images = (StoredImage(path, url, metadata.width, metadata.height),)
        return cls(
            **_common_fields(fields),
            **_status_fields(fields),
            image_url=url,
            image_path=path,
            images=images,
            metadata=metadata,
            parameters={} if parameters is None else parameters.body,
            pictures_removed_at=fields.time("pictures_removed_at"),
        )


@dataclass(frozen=True, slots=True)
class Event:
    """An event of a request: a stored event with its number `seq`, or progress, which has none.

    `data` is the event's own data, with the field names of the API.
    """

    type: str
    request_id: str
    status: str | None = None
    seq: int | None = None
    progress: int | None = None
    message: str | None = None
    timestamp: datetime | None = None
    data: Mapping[str, Any] | None = None
    body: Mapping[str, Any] = field(default_factory=dict, compare=False, repr=False)

    @property
    def is_final(self) -> bool:
        """True for the last event of a request."""
        return self.type in FINAL_EVENTS

    @classmethod
    def read(cls, kind: str, fields: Fields) -> Self:
        """From the data of one server-sent event of the type `kind`."""
        data = fields.part("data")
        return cls(
            type=kind,
            request_id=fields.text("request_id"),
            status=fields.optional_text("status"),
            seq=fields.whole("seq"),
            progress=fields.whole("progress"),
            message=fields.optional_text("message"),
            timestamp=fields.time("timestamp"),
            data=None if data is None else data.body,
            body={"type": kind, **fields.body},
        )


def _common_fields(fields: Fields) -> dict[str, Any]:
    """The fields that every response about a request has."""
    return {
        "request_id": fields.text("request_id"),
        "status": fields.text("status"),
        "message": fields.optional_text("message"),
        "correlation_id": fields.optional_text("correlation_id"),
        "timestamp": fields.time("timestamp"),
        "body": fields.body,
    }


def _status_fields(fields: Fields) -> dict[str, Any]:
    progress = fields.whole("progress")
    return {
        "progress": (100 if fields.body.get("status") == COMPLETED else 0) if progress is None else progress,
        "version": fields.whole("version"),
        "queue": Queue.read(fields.part("queue")),
        "code": fields.optional_text("code"),
        "error": fields.optional_text("error"),
        "reason": fields.optional_text("reason"),
        "retryable": fields.flag("retryable"),
    }
