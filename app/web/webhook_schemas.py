"""Bodies, queries and answers of the operations on webhooks."""

from datetime import UTC, datetime
from typing import Annotated, Any, Literal, Self, cast

from pydantic import BaseModel, ConfigDict, Field
from pydantic.alias_generators import to_camel

from app.db.webhook_deliveries import Delivery
from app.db.webhooks import EVERYTHING, Endpoint
from app.domain import image_request, webhooks
from app.domain.clock import wire_time
from app.domain.errors import InvalidRequest
from app.domain.image_request import DEFAULT_USER
from app.domain.webhooks import CHOICES, DEFAULT, Target, WebhookEvent
from app.domain.wire_types import Time, Uuid, WireModel
from app.web.request_schemas import TEXT, Query, checked, page_cursor, user_field

Status = Literal["pending", "delivered", "failed", "replaced"]
_EVENTS = {"items": {"enum": list(CHOICES)}, "minItems": 1}
_URL = {
    "pattern": webhooks.URL_PATTERN,
    "maxLength": webhooks.URL_CHARS,
    "description": "Where events are sent: http or https, a public host, no user name or password.",
}
_TIME = r"[0-9]{4}-[0-9]{2}-[0-9]{2}T[0-9]{2}:[0-9]{2}:[0-9]{2}(\.[0-9]{1,9})?(Z|[+-][0-9]{2}:[0-9]{2})"


def _time_ms(value: object) -> int:
    """A time in RFC 3339 as ms since the epoch."""
    try:
        time = datetime.fromisoformat(value) if isinstance(value, str) and len(value) <= 40 else None
    except ValueError:
        time = None
    if time is None or time.tzinfo is None or not 1970 <= time.year <= 9998:
        raise InvalidRequest("failedSince must be a time such as 2024-01-14T12:00:00Z.")
    return round(time.astimezone(UTC).timestamp() * 1000)


def _delivery_id(value: object) -> int:
    if isinstance(value, str) and value.isascii() and value.isdigit() and len(value) <= 15:
        return int(value)
    raise InvalidRequest("deliveryId must be one that GET …/deliveries lists.")


def _enabled(value: object) -> bool:
    if isinstance(value, bool):
        return value
    raise InvalidRequest("enabled must be true or false.")


_URL_FIELD = checked(webhooks.clean_url, type="string", **_URL)
_DESCRIPTION_FIELD = checked(
    lambda value: image_request.clean_text("description", value, webhooks.DESCRIPTION_CHARS),
    type=["string", "null"],
    maxLength=webhooks.DESCRIPTION_CHARS,
    pattern=TEXT,
)


class NewWebhook(BaseModel):
    """A webhook for all requests and batches of a user. A field that is null counts as absent."""

    model_config = ConfigDict(alias_generator=to_camel, extra="forbid")

    url: Annotated[str, _URL_FIELD]
    events: Annotated[
        tuple[WebhookEvent, ...],
        checked(
            webhooks.clean_events,
            type=["array", "null"],
            **_EVENTS,
            description="Default: all but `image.progress`.",
        ),
    ] = DEFAULT
    description: Annotated[str | None, _DESCRIPTION_FIELD] = None
    user_id: Annotated[str, user_field(["string", "null"], default=DEFAULT_USER)] = DEFAULT_USER

    @property
    def target(self) -> Target:
        return Target(self.url, self.events)


class WebhookChanges(BaseModel):
    """What is to be changed about a webhook; what is left out or null stays."""

    model_config = ConfigDict(alias_generator=to_camel, extra="forbid")

    url: Annotated[str | None, checked(webhooks.clean_url, type=["string", "null"], **_URL)] = None
    events: Annotated[
        tuple[WebhookEvent, ...] | None, checked(webhooks.clean_events, type=["array", "null"], **_EVENTS)
    ] = None
    description: Annotated[str | None, _DESCRIPTION_FIELD] = None
    enabled: Annotated[bool | None, checked(_enabled, type=["boolean", "null"])] = None

    @property
    def given(self) -> dict[str, Any]:
        """The fields that are to be changed."""
        return self.model_dump(exclude_none=True)


class Redelivery(BaseModel):
    """Which deliveries to send again: one, or all that failed since a time."""

    model_config = ConfigDict(alias_generator=to_camel, extra="forbid")

    delivery_id: Annotated[
        int | None,
        checked(_delivery_id, type=["string", "null"], pattern="^[0-9]{1,15}$", description="A finished one."),
    ] = None
    failed_since: Annotated[
        int | None,
        checked(
            _time_ms,
            type=["string", "null"],
            format="date-time",
            pattern=f"^{_TIME}$",
            description="All failed ones of events that happened since then.",
        ),
    ] = None


class WebhookListQuery(Query):
    """Which webhooks to list."""

    user_id: Annotated[str | None, user_field("string", description="Whose webhooks. Default: yours.")] = None
    request_id: Annotated[
        str | None,
        Field(pattern=r"^[0-9a-f-]{36}$", description="That of one request or batch, which was given with it."),
    ] = None
    limit: int = Field(20, ge=1, le=100, description="Maximum number of results.")
    cursor: Annotated[str | None, page_cursor(r"[0-9a-f-]{36}")] = None


class DeliveryQuery(Query):
    """Which deliveries to list."""

    status: Status | None = Field(None, examples=["failed"])
    limit: int = Field(20, ge=1, le=100, description="Maximum number of results.")
    cursor: Annotated[str | None, page_cursor(r"[0-9]{1,15}"), Field(examples=["1024"])] = None


class AccountQuery(Query):
    """Whose account."""

    user_id: Annotated[str | None, user_field("string", description="Whose account. Default: yours.")] = None


class WebhookDetails(WireModel):
    """A webhook."""

    webhook_id: Uuid
    user_id: str
    request_id: Uuid | None = Field(None, description="the only request or batch that it is told of")
    url: str
    events: list[WebhookEvent]
    description: str | None = None
    enabled: bool
    disabled_reason: str | None = Field(None, description="why nothing is sent to it")
    failing_since: Time | None = Field(None, description="since when every attempt has failed")
    previous_secret_until: Time | None = Field(
        None, description="until when the secret before the last rotation signs too"
    )
    created_at: Time
    updated_at: Time

    @classmethod
    def of(cls, stored: Endpoint, **more: Any) -> Self:
        """The stored webhook as it is sent."""
        return cls(
            webhook_id=stored.id,
            user_id=stored.user_id,
            request_id=None if stored.scope == EVERYTHING else stored.scope,
            url=stored.url,
            events=list(stored.events),
            description=stored.description,
            enabled=stored.enabled,
            disabled_reason=stored.disabled_reason,
            failing_since=_time(stored.failing_since),
            previous_secret_until=_time(stored.previous_until),
            created_at=wire_time(stored.created_at),
            updated_at=wire_time(stored.updated_at),
            **more,
        )


class WebhookCreated(WebhookDetails):
    """A new webhook with its secret, which is shown this once."""

    secret: str


class WebhookSecret(WireModel):
    """A new secret, which is shown this once. Until `previousSecretUntil`, events are signed with both."""

    secret: str
    previous_secret_until: Time | None = None


class WebhookPage(WireModel):
    """Webhooks, oldest first."""

    webhooks: list[WebhookDetails]
    next_cursor: str | None = Field(None, description="send it as `cursor` for the next page; absent on the last one")
    timestamp: Time


class DeliveryDetails(WireModel):
    """An event, and its last attempt."""

    delivery_id: str
    event_id: str
    type: WebhookEvent
    sequence: int
    request_id: Uuid | None = Field(None, description="what the event is about; absent for a test")
    status: Status = Field(description="`replaced`: newer progress was sent, or the request was final")
    attempts: int
    response_status: int | None = None
    response_body: str | None = Field(None, description="the first 1,024 bytes")
    error: str | None = Field(None, description="why the last attempt failed")
    duration_ms: int | None = None
    attempted_at: Time | None = None
    next_attempt_at: Time | None = Field(None, description="while it is pending; the past if it waits for its turn")
    finished_at: Time | None = None
    occurred_at: Time

    @classmethod
    def of(cls, stored: Delivery) -> Self:
        """The stored delivery as it is sent."""
        return cls(
            delivery_id=str(stored.id),
            event_id=stored.event_id,
            type=stored.type,
            sequence=stored.sequence,
            request_id=stored.subject_id,
            status=cast("Status", stored.status),
            attempts=stored.attempts,
            response_status=stored.response_status,
            response_body=stored.response_body,
            error=stored.error,
            duration_ms=stored.duration_ms,
            attempted_at=_time(stored.attempted_at),
            next_attempt_at=wire_time(stored.due_at) if stored.status == "pending" else None,
            finished_at=_time(stored.finished_at),
            occurred_at=wire_time(stored.occurred_at),
        )


class DeliveryPage(WireModel):
    """Deliveries, newest first."""

    deliveries: list[DeliveryDetails]
    next_cursor: str | None = Field(None, description="send it as `cursor` for the next page; absent on the last one")
    timestamp: Time


class Redelivered(WireModel):
    """What is sent again."""

    count: int
    timestamp: Time


def _time(at_ms: int | None) -> str | None:
    return None if at_ms is None else wire_time(at_ms)
