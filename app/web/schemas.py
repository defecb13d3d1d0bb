"""What travels over HTTP: bodies and queries that are asked with, answers that are told. camelCase lives here.

The classes are the documentation too: `/openapi.json` is made from them. Times are UTC, `2024-01-14T12:00:00.000Z`.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, PlainValidator, WithJsonSchema
from pydantic.alias_generators import to_camel

from app.domain import orders
from app.domain.states import Status
from app.web.parameter_schema import PARAMETERS

Time = Annotated[str, Field(json_schema_extra={"format": "date-time"})]
Uuid = Annotated[str, Field(json_schema_extra={"format": "uuid"})]

_CONTROLS = r"\x00-\x08\x0b\x0c\x0e-\x1f\x7f-\x9f"
_VISIBLE = rf"^[^{_CONTROLS}]*[^\s{_CONTROLS}][^{_CONTROLS}]*$"
MAX_WAIT_S = 60


def _checked(check: Callable[..., object], **schema: Any) -> Any:
    """A field that the domain checks; `schema` says the same in the words of JSON Schema."""
    return PlainValidator(check, json_schema_input_type=Annotated[Any, WithJsonSchema(schema)])


class Asked(BaseModel):
    """Something a client sends; what is not known is refused by name."""

    model_config = ConfigDict(alias_generator=to_camel, extra="forbid")


class Query(BaseModel):
    """The query of a URL; what is not known is passed over."""

    model_config = ConfigDict(alias_generator=to_camel, extra="ignore")


class Told(BaseModel):
    """Something the server answers; fields that are None are left out."""

    model_config = ConfigDict(alias_generator=to_camel, validate_by_name=True)


_User = Annotated[
    str, _checked(orders.clean_user, type="string", pattern=rf"^{orders.USER.pattern}$", default=orders.DEFAULT_USER)
]


class GenerateRequest(Asked):
    """A request for pictures."""

    prompt: Annotated[
        str,
        _checked(
            orders.clean_prompt,
            type="string",
            minLength=1,
            maxLength=orders.PROMPT_CHARS,
            pattern=_VISIBLE,
            description="What the picture shows.",
            examples=["A beautiful sunset over mountains"],
        ),
    ]
    model: Annotated[
        str,
        _checked(orders.clean_model, type="string", pattern=rf"^{orders.MODEL.pattern}$", default=orders.DEFAULT_MODEL),
    ] = orders.DEFAULT_MODEL
    parameters: Annotated[dict[str, Any], _checked(orders.clean_parameters, **PARAMETERS)] = Field(default_factory=dict)
    user_id: _User = orders.DEFAULT_USER
    deadline_ms: Annotated[
        int | None,
        _checked(
            orders.clean_deadline,
            type=["integer", "null"],
            minimum=orders.DEADLINE_MS[0],
            maximum=orders.DEADLINE_MS[1],
            description="How long you will wait, in ms from acceptance; then the request fails with ERR_TIMEOUT.",
        ),
    ] = None


class WaitQuery(Query):
    """Waiting for news instead of asking again and again."""

    wait: float = Field(
        0,
        ge=0,
        le=MAX_WAIT_S,
        allow_inf_nan=False,
        description="Seconds to hold the answer until there is something new.",
    )
    since: int | None = Field(
        None, ge=0, le=2**31 - 1, description="The version you know; news is what is newer. Default: what is there now."
    )


class ListQuery(Query):
    """Which requests to list."""

    user_id: _User = orders.DEFAULT_USER
    status: Status | None = None
    limit: int = Field(20, ge=1, le=100)
    cursor: Annotated[str | None, Field(pattern=r"^[0-9a-f-]{36}$", description="`nextCursor` of the page before.")] = (
        None
    )


class UploadQuery(Query):
    """The signed part of an upload's address, and which of several pictures this is."""

    attempt: int = Field(ge=1, le=2**31 - 1)
    expires: int = Field(ge=0, le=2**53, description="ms since the epoch")
    signature: str = Field(max_length=128)
    position: int = Field(0, ge=0, le=orders.IMAGES[1] - 1, description="0 for the first picture")


class EventsQuery(Query):
    """Where to take a stream up again, for clients that cannot send the Last-Event-ID header."""

    last_event_id: int = Field(0, ge=0, le=2**31 - 1)


class Accepted(Told):
    """The request is in the database."""

    request_id: Uuid
    status: Literal["accepted"] = "accepted"
    message: str = "Image generation request submitted"
    correlation_id: str
    timestamp: Time


class QueuePlace(Told):
    """Why a request waits, and how many stand before it."""

    position: int = Field(description="1 is next; counted up to 1,001")
    reason: str


class RequestStatus(Told):
    """How a request stands."""

    request_id: Uuid
    status: Status = Field(description="where it stands; the last three are final")
    progress: int = Field(ge=0, le=100, description="percent")
    message: str | None = Field(None, description="the extension's own words about its progress")
    queue: QueuePlace | None = Field(None, description="while it waits")
    code: str | None = Field(None, description="why it failed, for programs")
    error: str | None = Field(None, description="why it failed, in a sentence")
    reason: str | None = Field(None, description="more about why it failed")
    version: int = Field(description="rises with every change; `since` takes it")
    correlation_id: str
    created_at: Time
    updated_at: Time
    timestamp: Time


class StoredPicture(Told):
    """One picture."""

    image_url: str = Field(description="where the extension had it from, or where we serve it")
    image_path: str = Field(description="where we serve it")
    width: int = Field(description="px")
    height: int = Field(description="px")
    bytes: int
    sha256: str


class PictureMetadata(Told):
    """What the picture is of; the sizes and `generatedAt` once it is made."""

    model: str
    prompt: str
    width: int | None = Field(None, description="px")
    height: int | None = Field(None, description="px")
    generated_at: Time | None = None


class RequestResult(RequestStatus):
    """A request with what came of it; `imageUrl`, `imagePath` and `images` once it is completed."""

    image_url: str | None = None
    image_path: str | None = None
    images: list[StoredPicture] | None = None
    metadata: PictureMetadata
    user_id: str


class RequestPage(Told):
    """Requests, newest first."""

    images: list[RequestResult] = Field(description="each as `GET /api/images/{requestId}` answers it")
    next_cursor: str | None = Field(None, description="send it as `cursor` for the next page; absent on the last one")
    timestamp: Time


class Cancelled(Told):
    """The request is called off."""

    request_id: Uuid
    status: Literal["cancelled"] = "cancelled"
    message: str = "Image generation request cancelled"
    correlation_id: str
    timestamp: Time


class TokenIssued(Told):
    """A token in place of a key."""

    token: str
    token_type: Literal["Bearer"] = "Bearer"  # noqa: S105 - a kind of token, not one
    expires_in: int = Field(description="seconds")
    scope: str = Field(description="what it may be used for, separated by spaces")


class UploadReceipt(Told):
    """The bytes are here; `imageUrl` is what to report in `image_generated`."""

    image_url: str
    sha256: str
    bytes: int


class Memory(Told):
    """Bytes. `heapTotal`: private memory that was asked for; `heapUsed`: how much of it is in use."""

    rss: int
    heap_total: int
    heap_used: int


class HealthReport(Told):
    """How this process is. `degraded`: Redis is away; requests are kept and go on when it is back."""

    status: Literal["healthy", "degraded", "unhealthy"]
    timestamp: Time
    uptime: int = Field(description="seconds")
    memory: Memory
    environment: str
    database: bool
    redis: bool


class SocketInfo(Told):
    """Where extensions connect, and how many are connected over all web processes."""

    url: str
    active_connections: int
    protocol: Literal["websocket"] = "websocket"
    timestamp: Time


class Problem(Told):
    """A refusal, as RFC 9457 has it, with a code for programs; `error` repeats `detail`."""

    type: str = "about:blank"
    title: str
    status: int
    code: str
    detail: str
    error: str
    correlation_id: str
    timestamp: Time
