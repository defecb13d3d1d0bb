"""The messages of the server to an extension."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Annotated, Any, Literal

from pydantic import AfterValidator, BeforeValidator, Field

from imagefleet.models.base import NOTHING, Answer, Many, decoded

VARIATION = "image-variation"
EDIT = "image-edit"
OPERATIONS = (VARIATION, EDIT)
MAX_INPUTS = 4


def _lower(value: object) -> object:
    return value.lower() if isinstance(value, str) else value


def _texts(value: object) -> object:
    return {name: str(each) for name, each in value.items()} if isinstance(value, Mapping) else value


class InputImage(Answer):
    """A picture that a job starts from. `url` is valid while the job is held; `strength` is how much may change, 0 (alike) to 1."""

    url: Annotated[str, Field(pattern="^https?://")]
    sha256: Annotated[str, BeforeValidator(_lower), Field(pattern="^[0-9a-f]{64}$")]
    mime_type: Literal["image/png", "image/jpeg", "image/webp"]
    role: Literal["image", "mask"]
    strength: Annotated[float, Field(strict=True, ge=0, le=1)] | None = None

    @property
    def is_mask(self) -> bool:
        """Whether it says where the picture may change."""
        return self.role == "mask"


def _one_mask_at_most(inputs: tuple[InputImage, ...]) -> tuple[InputImage, ...]:
    masks = sum(each.is_mask for each in inputs)
    if len(inputs) > MAX_INPUTS or masks > 1 or (inputs and masks == len(inputs)):
        raise ValueError(f"must be up to {MAX_INPUTS} pictures, one mask at most")
    return inputs


class Upload(Answer):
    """Where to upload the pictures. Sizes in bytes."""

    url: str
    headers: Annotated[Mapping[str, str], BeforeValidator(_texts)] = NOTHING
    max_bytes: int | None = None


class ServerMessage(Answer):
    """A message of any type."""

    type: str


class GenerateImage(ServerMessage):
    """A job. `previews` is how many previews of each picture the server wants."""

    request_id: str
    prompt: str
    model: str | None = None
    parameters: Mapping[str, Any] | None = None
    correlation_id: str | None = None
    lease: str | None = None
    upload: Upload | None = None
    input_images: Annotated[Many[InputImage], AfterValidator(_one_mask_at_most)] = ()
    previews: int | None = None


class CancelGeneration(ServerMessage):
    """The job is no longer wanted."""

    request_id: str


class Confirmed(ServerMessage):
    """The result of a job is stored at `image_path`."""

    request_id: str
    image_path: str | None = None


class ErrorReport(ServerMessage):
    """The server could not use a message; `request_id` if it was about a job."""

    error: str | None = None
    code: str | None = None
    request_id: str | None = None


class AuthenticationSuccess(ServerMessage):
    """The extension is connected. Of the jobs that it named, it still holds `active_request_ids`; None says nothing of them."""

    active_request_ids: tuple[str, ...] | None = None


_TYPES: dict[str, type[ServerMessage]] = {
    "generate_image": GenerateImage,
    "cancel_generation": CancelGeneration,
    "image_generation_confirmed": Confirmed,
    "error": ErrorReport,
    "authentication_success": AuthenticationSuccess,
}


def read(text: str) -> ServerMessage:
    """The message as the class of its type; one that has none is a `ServerMessage`. Raises BadAnswer."""
    body = decoded(text)
    return _TYPES.get(ServerMessage.read(body).type, ServerMessage).read(body)


def operation_of(inputs: tuple[InputImage, ...]) -> str | None:
    """The capability that these pictures need; None without any."""
    if not inputs:
        return None
    return EDIT if any(each.is_mask for each in inputs) else VARIATION


def timestamp(moment: datetime) -> str:
    """A time in the API's format: UTC, to the millisecond, with a Z."""
    return moment.astimezone(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")
