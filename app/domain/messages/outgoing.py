"""Messages from the server to an extension."""

from collections.abc import Mapping
from typing import Annotated, Any, Literal

from pydantic import Field

from app.domain import previews
from app.domain.messages.fields import Message
from app.domain.wire_types import Time, Uuid, WireModel

CorrelationId = Annotated[str, Field(description="Echo it in every report on the request.")]


class Upload(WireModel):
    """Where to upload pictures that have no public URL; add `&position=N` for the Nth, from 0."""

    url: str = Field(json_schema_extra={"format": "uri"})
    method: Literal["PUT"]
    headers: Mapping[str, str]
    max_bytes: int = Field(ge=1)
    expires_at: Time


class InputImage(WireModel):
    """A picture that the request is made from: a PNG at an address for this attempt alone, which needs no credential."""

    url: str = Field(
        json_schema_extra={"format": "uri"},
        description="Answers while the extension holds the request, until the attempt ends or expires.",
    )
    sha256: str = Field(description="Of the file, in hex: do not use any other bytes.")
    mime_type: Literal["image/png"] = "image/png"
    role: Literal["image", "mask"] = Field(
        description="What pictures are made from; a mask is transparent where the first image is to be changed."
    )
    strength: float | None = Field(
        default=None, ge=0, le=1, description="How much the pictures may differ: 0 not at all."
    )


class AuthenticationRequired(Message):
    """The first message on a new socket."""

    type: Literal["authentication_required"] = "authentication_required"
    timestamp: Time


class MessageLimits(WireModel):
    """What the server accepts on the socket and as uploads. Pictures should be uploaded (see `generate_image`)."""

    max_message_bytes: int = Field(
        ge=1, description="Longest message, in characters; a longer one ends the connection."
    )
    max_image_bytes: int = Field(ge=1, description="Largest picture.")


class AuthenticationSuccess(Message):
    """The extension is authenticated."""

    type: Literal["authentication_success"] = "authentication_success"
    extension_id: str
    timestamp: Time
    active_request_ids: tuple[str, ...] | None = Field(
        default=None,
        description="The requests listed in `authenticate` that it still holds; it should drop the others.",
    )
    limits: MessageLimits | None = None


class GenerateImage(Message):
    """Make these pictures. `lease` may be echoed; `upload` accepts pictures that have no public URL."""

    type: Literal["generate_image"] = "generate_image"
    request_id: Uuid
    prompt: str
    model: str
    parameters: Mapping[str, Any] = Field(description="As the client sent them, integers beyond 2^53 - 1 as strings.")
    user_id: str
    correlation_id: CorrelationId
    timestamp: Time
    lease: str | None = Field(default=None, description="May be echoed in every report on the request.")
    upload: Upload | None = None
    input_images: tuple[InputImage, ...] | None = Field(
        default=None,
        description="Only for extensions that announce `image-variation`, or `image-edit` if one of them is a mask.",
    )
    previews: int | None = Field(
        default=None,
        ge=1,
        le=previews.MOST,
        description="How many previews of each image are wanted with the progress. Without it, send none.",
    )


class ImageGenerationConfirmed(Message):
    """The pictures are stored; the extension may delete its own."""

    type: Literal["image_generation_confirmed"] = "image_generation_confirmed"
    request_id: Uuid
    image_path: str = Field(description="The path at which the first picture is served.")
    correlation_id: CorrelationId
    timestamp: Time


class HeartbeatResponse(Message):
    """The server received the heartbeat."""

    type: Literal["heartbeat_response"] = "heartbeat_response"
    timestamp: Time
    paused_until: Time | None = Field(default=None, description="Until then it is given no requests, after failures.")
    pause_reason: str | None = Field(default=None, description="Why it is paused.")


class CancelGeneration(Message):
    """Stop working on this request: it was cancelled, or the extension no longer holds it."""

    type: Literal["cancel_generation"] = "cancel_generation"
    request_id: Uuid
    correlation_id: CorrelationId
    timestamp: Time


class Error(Message):
    """A message of the extension was rejected and changed nothing."""

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
