"""Response bodies. Request bodies and queries are in request_schemas.py, those about the fleet in fleet.py.

The classes are the documentation too: `/openapi.json` is made from them. Times are UTC, `2024-01-14T12:00:00.000Z`.
"""

from collections.abc import Mapping
from typing import Any, Literal

from pydantic import Field

from app.domain.states import Status
from app.domain.waiting import ReasonCode
from app.domain.wire_types import Time, Uuid, WireModel

CACHED = Field(None, description="true if it has the pictures of an identical request, or gets them at once")
CACHED_FROM = Field(None, description="that request")
FOLLOWS = Field(None, description="the identical request in progress whose pictures it will get")

SIGNED_URL = Field(description="an address of it that can be shown where no credential can be sent, until it expires")
THUMBNAILS = Field(description="addresses of WebP pictures, by the most px of their longer side")

REASONS = (
    "it may be held back because it gets the result of an identical request (`FOLLOWS`), an operator paused its user "
    "(`PAUSED_USER`), its batch is paused (`BATCH_PAUSED`) or has enough requests in the queue (`BATCH_CONCURRENCY`); "
    "everything or its model may be paused (`PAUSED_ALL`, `PAUSED_MODEL`); no extension may be connected (`NO_EXTENSION`), "
    "none that makes its model (`NO_CAPABLE_EXTENSION`), or none that takes work: they say so (`NOT_ACCEPTING`), an operator "
    "paused them (`PAUSED_EXTENSIONS`), they failed (`COOLING_DOWN`), or they have other requests (`BUSY`); "
    "`ABOUT_TO_START` is none of these"
)


class Eta(WireModel):
    """When a request will probably be handed to an extension, by how long the last images of its model took."""

    p50: Time = Field(description="as likely before as after it")
    p90: Time = Field(description="nine of ten requests start earlier")
    p50_seconds: float = Field(ge=0, description="from the moment of this answer")
    p90_seconds: float = Field(ge=0, description="from the moment of this answer")


class QueuePosition(WireModel):
    """Why a request waits, and its position in the queue."""

    position: int | None = Field(
        None,
        ge=1,
        description="among the requests for its model: 1 is next, counted up to 1,001; absent while it is held back",
    )
    reason: str
    reason_code: ReasonCode = Field(description="the reason for programs; " + REASONS)
    remedy: str | None = Field(None, description="what would help")
    eligible_extensions: int = Field(ge=0, description="connected ones that make its model and take work now")
    busy_slots: int = Field(ge=0, description="how many requests these hold")
    total_slots: int = Field(ge=0, description="how many they take at once")
    eta: Eta | None = Field(
        None, description="absent if it cannot be known: nothing was measured yet, or its reason has no known end"
    )
    waits_until: Time = Field(description="when the request fails if no extension has taken it")


class Accepted(WireModel):
    """The request is in the database."""

    request_id: Uuid
    status: Literal["accepted"] = "accepted"
    message: str = "Image generation request submitted"
    waits_until: Time | None = Field(None, description="with `deadlineMs`: when the request fails if it is not done")
    cached: bool | None = CACHED
    cached_from: Uuid | None = CACHED_FROM
    follows: Uuid | None = FOLLOWS
    queue: QueuePosition | None = Field(None, description="why it waits, as in its status")
    correlation_id: str
    timestamp: Time


class RequestStatus(WireModel):
    """A request's status."""

    request_id: Uuid
    status: Status = Field(description="completed, failed and cancelled are final")
    progress: int = Field(ge=0, le=100, description="percent")
    message: str | None = Field(None, description="the extension's own description of its progress")
    queue: QueuePosition | None = Field(None, description="while it waits")
    code: str | None = Field(None, description="why it failed, for programs")
    error: str | None = Field(None, description="why it failed, in a sentence")
    reason: str | None = Field(None, description="details about why it failed")
    cached: bool | None = CACHED
    cached_from: Uuid | None = CACHED_FROM
    follows: Uuid | None = FOLLOWS
    version: int = Field(description="increases with every change; send it as `since` to wait for the next one")
    correlation_id: str
    created_at: Time
    updated_at: Time
    timestamp: Time


class StoredPicture(WireModel):
    """One image."""

    image_url: str = Field(description="where the extension got it from, or else where this service serves it")
    image_path: str = Field(description="where this service serves it")
    signed_url: str = SIGNED_URL
    thumbnails: dict[Literal["256", "1024"], str] = THUMBNAILS
    width: int = Field(description="px")
    height: int = Field(description="px")
    bytes: int
    sha256: str


class PictureMetadata(WireModel):
    """How the image was made; its size and `generatedAt` once it exists."""

    model: str = Field(description="the one that the extension reports to have used, or else the requested one")
    prompt: str
    width: int | None = Field(None, description="px")
    height: int | None = Field(None, description="px")
    seed: int | str | None = Field(None, description="the one that the extension reports to have used")
    seeds: list[int | str] | None = Field(None, description="the same of all images, if there are several")
    revised_prompt: str | None = Field(None, description="what the generator made of the prompt")
    ignored_parameters: list[str] | None = Field(None, description="names of parameters that had no effect")
    generated_at: Time | None = None


class RequestResult(RequestStatus):
    """A request and its result; `imageUrl`, `imagePath` and `images` once it is completed, until the images are removed."""

    image_url: str | None = None
    image_path: str | None = None
    images: list[StoredPicture] | None = None
    keep_until: Time | None = Field(
        None, description="when the images will be removed; absent if they are kept for ever"
    )
    pictures_removed_at: Time | None = Field(None, description="when the images were removed")
    metadata: PictureMetadata
    parameters: dict[str, Any] = Field(description="as they were sent, with those of the style")
    style: str | None = Field(None, description="the style that it is made with, as it was when the request was sent")
    variables: dict[str, str] | None = Field(None, description="with a style: as they were sent")
    original_prompt: str | None = Field(None, description="with a style: the prompt as it was sent")
    batch_id: Uuid | None = Field(None, description="the batch that it is an item of")
    index: int | None = Field(None, description="with a batch: the number of the item, from 1")
    custom_id: str | None = Field(None, description="with a batch: the id that its client gave the item")
    retry_of: Uuid | None = Field(None, description="the request that this one tries again")
    replaced_by: Uuid | None = Field(None, description="the request that has taken its place in the batch")
    parent_id: Uuid | None = Field(None, description="the request whose image it is made from")
    children: list[Uuid] | None = Field(
        None, description="the newest requests that were made from its images, at most 100"
    )
    user_id: str


class RequestPage(WireModel):
    """Requests, newest first."""

    images: list[RequestResult] = Field(description="each as in `GET /api/images/{requestId}`")
    next_cursor: str | None = Field(None, description="send it as `cursor` for the next page; absent on the last one")
    timestamp: Time


class StreamedEvent(WireModel):
    """An event of a request, as its stream sends it."""

    type: str
    request_id: Uuid
    seq: int = Field(ge=1, description="the event's number, the same as `id`")
    status: Status = Field(description="of the request after the event")
    timestamp: Time
    data: Mapping[str, Any]


class StreamedProgress(WireModel):
    """The extension's progress; it is not stored, so it has no `id`."""

    request_id: Uuid
    status: Literal["processing"]
    progress: int = Field(ge=0, le=100, description="percent")
    message: str | None = Field(None, description="the extension's own description")
    timestamp: Time


class Cancelled(WireModel):
    """The request is cancelled."""

    request_id: Uuid
    status: Literal["cancelled"] = "cancelled"
    message: str = "Image generation request cancelled"
    correlation_id: str
    timestamp: Time


class PicturesRemoved(WireModel):
    """The images of the request are removed."""

    request_id: Uuid
    pictures_removed_at: Time
    correlation_id: str
    timestamp: Time


class TokenIssued(WireModel):
    """A token made from an API key."""

    token: str
    token_type: Literal["Bearer"] = "Bearer"  # noqa: S105 - a kind of token, not one
    expires_in: int = Field(description="seconds")
    scope: str = Field(description="its scopes, separated by spaces")


class UploadReceipt(WireModel):
    """The image is stored; report `imageUrl` in `image_generated`."""

    image_url: str
    sha256: str
    bytes: int


class Memory(WireModel):
    """In bytes. `heapTotal` is the private memory that was requested, `heapUsed` the part of it that is in use."""

    rss: int
    heap_total: int
    heap_used: int


class HealthReport(WireModel):
    """The health of this process. `degraded`: accepted requests wait until Redis is back, or until pictures can be stored.
    While pictures cannot be stored, no new requests are accepted."""

    status: Literal["healthy", "degraded", "unhealthy"]
    timestamp: Time
    uptime: int = Field(description="seconds")
    memory: Memory
    environment: str
    version: str = Field(description="of the service")
    database: bool
    redis: bool
    storage: bool = Field(description="whether pictures can be stored")


class SocketInfo(WireModel):
    """Where extensions connect, and how many are connected to any web process."""

    url: str
    active_connections: int
    protocol: Literal["websocket"] = "websocket"
    timestamp: Time


class ItemProblem(WireModel):
    """What is wrong with an item of a batch."""

    line: int = Field(description="its line, or in JSON its number in `items`, from 1")
    custom_id: str | None = None
    field: str | None = Field(None, description="absent if the item as a whole cannot be read")
    reason: str


class Problem(WireModel):
    """An error (RFC 9457), with a code for programs; `error` repeats `detail`."""

    type: str = "about:blank"
    title: str
    status: int
    code: str
    detail: str
    error: str
    errors: list[ItemProblem] | None = Field(
        None, description="of a batch: the first 100 things that are wrong with its items"
    )
    correlation_id: str
    timestamp: Time
