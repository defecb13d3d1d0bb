"""The result of an item, as archives and `?format=jsonl` show it."""

from collections.abc import Sequence
from typing import Any, Literal

from pydantic import Field

from app.db.images import StoredImage
from app.db.jobs import Job
from app.domain.clock import wire_time
from app.domain.states import Status
from app.domain.wire_types import Time, Uuid, WireModel
from app.services.generation import IMAGES_PATH
from app.web import presenters
from app.web.picture_addresses import PictureAddresses
from app.web.schemas import PictureMetadata


class ResultPicture(WireModel):
    """A picture of an item."""

    file: str | None = Field(None, description="its name in the archive")
    image_path: str = Field(description="where this service serves it")
    signed_url: str | None = Field(None, description="with `format=jsonl`: as in the result of the request")
    thumbnails: dict[Literal["256", "1024"], str] | None = Field(None, description="the same")
    width: int = Field(description="px")
    height: int = Field(description="px")
    bytes: int
    sha256: str
    problem: str | None = Field(None, description="why the archive does not contain it")

    @classmethod
    def of(
        cls,
        image: StoredImage,
        file: str | None = None,
        problem: str | None = None,
        addresses: PictureAddresses | None = None,
    ) -> "ResultPicture":
        """The picture, perhaps with its file in an archive, or its addresses, which expire."""
        return cls(
            file=file,
            image_path=IMAGES_PATH + image.file,
            signed_url=addresses.signed(image.file) if addresses else None,
            thumbnails=addresses.thumbnails(image.file) if addresses else None,
            width=image.width,
            height=image.height,
            bytes=image.bytes,
            sha256=image.sha256,
            problem=problem,
        )


class BatchItemResult(WireModel):
    """An item of a batch and what has become of it."""

    index: int = Field(description="its number in the batch, from 1")
    custom_id: str | None = None
    request_id: Uuid
    status: Status
    images: list[ResultPicture] | None = None
    keep_until: Time | None = Field(None, description="when the images will be removed")
    pictures_removed_at: Time | None = Field(None, description="when the images were removed")
    metadata: PictureMetadata
    parameters: dict[str, Any]
    style: str | None = None
    variables: dict[str, str] | None = None
    original_prompt: str | None = Field(None, description="with a style: the prompt as it was sent")
    code: str | None = Field(None, description="why it failed, for programs")
    error: str | None = Field(None, description="why it failed, in a sentence")
    reason: str | None = Field(None, description="details about why it failed")

    @classmethod
    def of(cls, job: Job, pictures: Sequence[ResultPicture]) -> "BatchItemResult":
        """The item that is this request."""
        first = pictures[0] if pictures else None
        kept = first is not None and job.pictures_removed_at is None
        return cls(
            index=job.batch_index or 0,
            custom_id=job.custom_id,
            request_id=job.id,
            status=job.status,
            images=list(pictures) or None,
            keep_until=wire_time(job.remove_at) if kept and job.remove_at is not None else None,
            pictures_removed_at=None if job.pictures_removed_at is None else wire_time(job.pictures_removed_at),
            metadata=presenters.metadata(job, first),
            parameters=dict(job.parameters),
            style=job.style,
            variables=None if job.variables is None else dict(job.variables),
            original_prompt=job.original_prompt,
            code=job.error_code,
            error=job.error,
            reason=job.reason,
        )
