"""Messages from an extension to the server. Fields that the contract does not define are optional additions."""

from typing import Annotated, Any, Literal

from pydantic import (
    ConfigDict,
    Field,
    StringConstraints,
    ValidationInfo,
    field_validator,
    model_validator,
)
from pydantic_core import PydanticCustomError

from app.domain import previews
from app.domain.messages.fields import (
    CAPABILITIES,
    IMAGES,
    MAX_CONCURRENT,
    MAX_RETRY_AFTER_MS,
    METADATA_CHARS,
    NOTE_CHARS,
    PRINTABLE,
    TEXT_CHARS,
    TOKEN_CHARS,
    WHOLE,
    Capability,
    Count,
    ImageUrl,
    Label,
    Message,
    Metadata,
    Note,
    Text,
    WireId,
    WireIds,
    truncated,
)
from app.domain.wire_types import ReceivedModel

RequestId = Annotated[WireId, Field(description="The one in `generate_image`.")]
Echoed = Annotated[WireId | None, Field(description="The one in `generate_image`; any other is rejected.")]


class ExtensionMetadata(ReceivedModel):
    """What the extension is and can do."""

    version: Label | None = Field(default=None, description="The extension's version.")
    capabilities: tuple[Capability, ...] = Field(
        default=(),
        max_length=CAPABILITIES,
        description="The models that it supports. `*`, or only `image-generation`, means every model.",
    )
    max_concurrent: Annotated[int, Field(strict=True, ge=1, le=MAX_CONCURRENT), WHOLE] = Field(
        default=1, description="How many requests it can work on at once."
    )
    available: bool = Field(
        default=True,
        strict=True,
        description="Whether it accepts requests now, as in the heartbeats that follow.",
    )
    repaired: bool = Field(
        default=False,
        strict=True,
        description="Whether the cause of earlier failures was removed since the last connection, by a change of settings or a "
        "successful test: it ends the pause that they led to, as other capabilities do, but not within a minute after the "
        "previous connection.",
    )


class Authenticate(Message):
    """Who the extension is and what it can do."""

    type: Literal["authenticate"] = "authenticate"
    extension_id: WireId = Field(description="The extension's own name, the same on every connection.")
    metadata: ExtensionMetadata = Field(default_factory=ExtensionMetadata)
    token: Annotated[str, Field(max_length=TOKEN_CHARS), PRINTABLE] | None = Field(
        default=None,
        description="The token that the operator issued to this extension. It may also be sent in the handshake, as "
        "`Authorization: Bearer` or `Sec-WebSocket-Protocol: imagefleet, token.…`. Required if AUTH_MODE requires it, "
        "or if a token was issued for this extensionId.",
    )
    active_request_ids: WireIds | None = Field(
        default=None,
        description="The requests that it still works on or has a result of; any others that it held are requeued.",
    )


class ImageGenerated(Message):
    """The pictures are ready: http(s) URLs, data: URLs, or URLs that an upload returned."""

    type: Literal["image_generated"] = "image_generated"
    image_urls: Annotated[tuple[ImageUrl, ...], Field(min_length=1, max_length=IMAGES)] | None = Field(
        default=None, description="All pictures, if there are several."
    )
    image_url: ImageUrl | None = Field(
        default=None, validate_default=True, description="The picture. Ignored if `imageUrls` is present."
    )
    request_id: RequestId
    metadata: Metadata = Field(
        default_factory=dict,
        description="Data of the extension's choice that is stored with the result, unless it is longer than "
        f"{METADATA_CHARS:,} characters as JSON.",
    )
    correlation_id: Echoed = None
    lease: Echoed = None

    @property
    def sources(self) -> tuple[str, ...]:
        """The URLs of the pictures, in order."""
        return self.image_urls or (str(self.image_url),)

    @model_validator(mode="before")
    @classmethod
    def _name_missing_url(cls, data: dict[str, Any]) -> dict[str, Any]:
        """Make an absent field null: pydantic names absent fields as in Python, but null ones as on the wire."""
        return data if "image_url" in data else {"imageUrl": None, **data}

    @field_validator("image_url", mode="before")
    @classmethod
    def _needed_without_list(cls, value: object, info: ValidationInfo) -> object:
        if info.data.get("image_urls") is not None:
            return None
        if value is None and "image_urls" in info.data:
            raise PydanticCustomError("image_url_missing", "must be a URL")
        return value

    @staticmethod
    def _either(schema: dict[str, Any]) -> None:
        one, several = (schema["properties"][name] for name in ("imageUrl", "imageUrls"))
        schema["anyOf"] = [
            {"properties": {"imageUrls": several.pop("anyOf")[0]}, "required": ["imageUrls"]},
            {"properties": {"imageUrls": {"type": "null"}, "imageUrl": one.pop("anyOf")[0]}, "required": ["imageUrl"]},
        ]

    model_config = ConfigDict(json_schema_extra=_either)


class ImageGenerationFailed(Message):
    """The extension could not make the pictures. `code`, `retryable` and `retryAfterMs` are optional details."""

    type: Literal["image_generation_failed"] = "image_generation_failed"
    request_id: RequestId
    error: Annotated[
        str,
        StringConstraints(strip_whitespace=True, min_length=1),
        Field(json_schema_extra={"pattern": r"[^\s\x00-\x1f\x7f-\x9f]"}),
        PRINTABLE,
        truncated(TEXT_CHARS),
    ] = Field(description=f"The reason, as a sentence; its first {TEXT_CHARS:,} characters are kept.")
    reason: Text | None = Field(default=None, description=f"Details; the first {TEXT_CHARS:,} characters are kept.")
    code: Label | None = Field(default=None, description="The reason as a code, such as `ERR_RATE_LIMIT`.")
    retryable: bool | None = Field(default=None, strict=True, description="Whether a retry may help.")
    retry_after_ms: Annotated[int, Field(strict=True, ge=0, le=MAX_RETRY_AFTER_MS), WHOLE] | None = Field(
        default=None, description="How long to send no requests to this extension, in ms."
    )
    correlation_id: Echoed = None
    lease: Echoed = None


class PreviewImage(ReceivedModel):
    """A small picture of an image that is being made."""

    mime_type: Label | None = Field(default=None, description="`image/webp`, `image/jpeg` or `image/png`.")
    data: str = Field(
        description=f"Its file in base64: at most {previews.MAX_BYTES:,} bytes, and {previews.MAX_SIDE:,} px on each side."
    )
    position: Annotated[int, Field(strict=True, ge=0, lt=IMAGES), WHOLE] = Field(
        default=0, description="Of which image, from 0."
    )


class ImageGenerationProgress(Message):
    """The progress of a request."""

    type: Literal["image_generation_progress"] = "image_generation_progress"
    request_id: RequestId
    progress: float = Field(strict=True, ge=0, le=100, description="Percent; it never decreases.")
    status: Note | None = Field(
        default=None,
        description=f"A status text that is shown to the client; the first {NOTE_CHARS} characters are kept.",
    )
    preview: PreviewImage | None = Field(
        default=None,
        description="If `generate_image` asks for `previews`: what there is of the image by now. One a second of each image is "
        "shown. One that cannot be used is answered with `error`; the progress counts nevertheless.",
    )
    correlation_id: Echoed = None
    lease: Echoed = None


class HeartbeatStatus(ReceivedModel):
    """Whether the extension accepts requests, and how many it has."""

    available: bool = Field(default=True, strict=True, description="Whether it accepts requests.")
    queue_size: Count = 0
    active_requests: Count = Field(default=0, description="How many requests it is working on.")


class Heartbeat(Message):
    """The extension is alive; it reports whether it accepts requests, and optionally which ones it works on."""

    type: Literal["heartbeat"] = "heartbeat"
    extension_id: WireId = Field(description="The one in `authenticate`; any other is rejected.")
    status: HeartbeatStatus = Field(default_factory=HeartbeatStatus)
    active_request_ids: WireIds | None = Field(
        default=None, description="Exactly the requests that it works on or has an unconfirmed result of."
    )


Incoming = Authenticate | ImageGenerated | ImageGenerationFailed | ImageGenerationProgress | Heartbeat
Report = ImageGenerated | ImageGenerationFailed | ImageGenerationProgress
