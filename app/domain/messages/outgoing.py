"""Messages from the server to an extension."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Any, Literal

from pydantic import Field

from app.domain.messages.fields import Message
from app.domain.wire_types import Time, Uuid, WireModel

CorrelationId = Annotated[str, Field(description="Echo it in every report on the request.")]


class Upload(WireModel):
    """Where pictures without a public address go; add `&position=N` for the Nth, from 0."""

    url: str = Field(json_schema_extra={"format": "uri"})
    method: Literal["PUT"]
    headers: Mapping[str, str]
    max_bytes: int = Field(ge=1)
    expires_at: Time


class AuthenticationRequired(Message):
    """The first message on a new socket."""

    type: Literal["authentication_required"] = "authentication_required"
    timestamp: Time


class AuthenticationSuccess(Message):
    """The extension is authenticated."""

    type: Literal["authentication_success"] = "authentication_success"
    extension_id: str
    timestamp: Time
    active_request_ids: tuple[str, ...] | None = Field(
        default=None, description="Those listed in `authenticate` that it still holds; the others it should drop."
    )


class GenerateImage(Message):
    """Make these pictures. `lease` may be echoed; `upload` takes bytes that have no public URL."""

    type: Literal["generate_image"] = "generate_image"
    request_id: Uuid
    prompt: str
    model: str
    parameters: Mapping[str, Any] = Field(description="As the client sent them.")
    user_id: str
    correlation_id: CorrelationId
    timestamp: Time
    lease: str | None = Field(default=None, description="May be echoed in every report on the request.")
    upload: Upload | None = None


class ImageGenerationConfirmed(Message):
    """The pictures are stored; the extension may forget them."""

    type: Literal["image_generation_confirmed"] = "image_generation_confirmed"
    request_id: Uuid
    image_path: str = Field(description="Where the first picture is served.")
    correlation_id: CorrelationId
    timestamp: Time


class HeartbeatResponse(Message):
    """The server received the heartbeat."""

    type: Literal["heartbeat_response"] = "heartbeat_response"
    timestamp: Time


class CancelGeneration(Message):
    """Stop working on this request: it was cancelled, or is no longer this extension's."""

    type: Literal["cancel_generation"] = "cancel_generation"
    request_id: Uuid
    correlation_id: CorrelationId
    timestamp: Time


class Error(Message):
    """What the extension sent could not be used, and why; it changed nothing."""

    type: Literal["error"] = "error"
    error: str
    timestamp: Time
    code: str | None = Field(default=None, description="Such as `ERR_INVALID_MESSAGE` or `ERR_LEASE_LOST`.")
    request_id: str | None = Field(default=None, description="The request that the message was about.")


Outgoing = (
    AuthenticationRequired
    | AuthenticationSuccess
    | GenerateImage
    | ImageGenerationConfirmed
    | HeartbeatResponse
    | CancelGeneration
    | Error
)
