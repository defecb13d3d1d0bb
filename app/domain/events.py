"""Events in the life of a request. Each is stored in the same transaction as the change that it describes."""

from dataclasses import dataclass, fields
from typing import Any


@dataclass(frozen=True, slots=True)
class Event:
    """An event of one request; the event log adds request id, sequence number and time."""

    def payload(self) -> dict[str, Any]:
        """The event as plain data for the event log; fields that are None are left out."""
        values = ((each.name, getattr(self, each.name)) for each in fields(self))
        return {name: value for name, value in values if value is not None}


@dataclass(frozen=True, slots=True)
class ImageGenerationRequestedEvent(Event):
    """A client's request was accepted."""

    model: str
    user_id: str


@dataclass(frozen=True, slots=True)
class ImageGenerationAssignedEvent(Event):
    """An extension was chosen and holds the request under a lease."""

    extension_id: str
    attempt: int


@dataclass(frozen=True, slots=True)
class ImageGenerationRequeuedEvent(Event):
    """The extension gave the request back or lost it; the request waits for another extension."""

    extension_id: str | None
    attempt: int
    code: str
    reason: str


@dataclass(frozen=True, slots=True)
class ImageDownloadStartedEvent(Event):
    """The extension reported its pictures; they are being downloaded and checked."""

    extension_id: str | None
    attempt: int
    images: int


@dataclass(frozen=True, slots=True)
class ImageGeneratedEvent(Event):
    """Every picture is stored; `image_paths` are the paths that the server serves them under.

    `cached_from` is the identical request whose pictures they are, if they were not made for this one.
    """

    image_paths: tuple[str, ...]
    cached_from: str | None = None


@dataclass(frozen=True, slots=True)
class ImagesRemovedEvent(Event):
    """The pictures of a completed request are removed. `reason` is `expired`, `requested` or `missing`: their files were lost."""

    reason: str


@dataclass(frozen=True, slots=True)
class ImageGenerationFailedEvent(Event):
    """The request has failed for good."""

    code: str
    error: str
    reason: str | None = None
    extension_id: str | None = None
    attempt: int | None = None


@dataclass(frozen=True, slots=True)
class ImageGenerationCancelledEvent(Event):
    """The owner cancelled the request."""

    extension_id: str | None = None
