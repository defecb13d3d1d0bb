"""What the services return, as the models of the API."""

from typing import Protocol

from app.db.images import StoredImage
from app.db.jobs import Job, JobSummary
from app.domain import eta
from app.domain.clock import wire_now, wire_time
from app.domain.states import Status
from app.services.generation import IMAGES_PATH
from app.services.lookup import JobDetails
from app.services.waiting import QueueInfo
from app.web import reported_values
from app.web.picture_addresses import PictureAddresses
from app.web.schemas import (
    Accepted,
    Eta,
    PictureMetadata,
    PicturesRemoved,
    QueuePosition,
    RequestResult,
    RequestStatus,
    StoredPicture,
)


class HasSize(Protocol):
    """An image; sizes in px."""

    @property
    def width(self) -> int: ...

    @property
    def height(self) -> int: ...


def accepted(made: JobDetails[Job]) -> Accepted:
    """A request that was just stored."""
    job = made.job
    return Accepted(
        request_id=job.id,
        waits_until=None if job.deadline_at is None else wire_time(job.deadline_at),
        cached=_cached(job),
        cached_from=job.cached_from,
        follows=_follows(job),
        queue=None if made.queue is None else queue_position(made.queue),
        correlation_id=job.correlation_id,
        timestamp=wire_time(job.created_at),
    )


def pictures_removed(job: Job) -> PicturesRemoved:
    """A request whose images were removed."""
    return PicturesRemoved(
        request_id=job.id,
        pictures_removed_at=wire_time(job.pictures_removed_at or job.updated_at),
        correlation_id=job.correlation_id,
        timestamp=wire_now(),
    )


def status(found: JobDetails[Job] | JobDetails[JobSummary]) -> RequestStatus:
    """A request's status."""
    job, queue = found.job, found.queue
    return RequestStatus(
        request_id=job.id,
        status=job.status,
        progress=job.progress,
        message=job.progress_note,
        queue=None if queue is None else queue_position(queue),
        code=job.error_code,
        error=job.error,
        reason=job.reason,
        cached=_cached(job),
        cached_from=job.cached_from,
        follows=_follows(job),
        version=job.version,
        correlation_id=job.correlation_id,
        created_at=wire_time(job.created_at),
        updated_at=wire_time(job.updated_at),
        timestamp=wire_now(),
    )


def _cached(job: Job | JobSummary) -> bool | None:
    return None if job.cached_from is None else True


def _follows(job: Job | JobSummary) -> str | None:
    """The request in progress that it follows."""
    if isinstance(job, JobSummary) or job.status is not Status.ACCEPTED or job.cached_from is not None:
        return None
    return job.follows


def queue_position(queue: QueueInfo) -> QueuePosition:
    """Why a request waits."""
    return QueuePosition(
        position=queue.position,
        reason=queue.reason,
        reason_code=queue.reason_code,
        remedy=queue.remedy,
        eligible_extensions=queue.eligible_extensions,
        busy_slots=queue.busy_slots,
        total_slots=queue.total_slots,
        eta=None if queue.eta is None else _eta(queue.eta, queue.now),
        waits_until=wire_time(queue.waits_until),
    )


def _eta(found: eta.Eta, now: int) -> Eta:
    return Eta(
        p50=wire_time(now + found.p50_ms),
        p90=wire_time(now + found.p90_ms),
        p50_seconds=found.p50_ms / 1000,
        p90_seconds=found.p90_ms / 1000,
    )


def result(details: JobDetails[Job], addresses: PictureAddresses | None = None) -> RequestResult:
    """A request's status and its images; `addresses` are those for the current HTTP request by default."""
    job = details.job
    shown = details.images if job.pictures_removed_at is None else ()
    if addresses is None and shown:
        addresses = PictureAddresses.here()
    pictures = [_picture(each, addresses) for each in shown] if addresses else []
    first = pictures[0] if pictures else None
    return RequestResult(
        **status(details).model_dump(),
        image_url=first.image_url if first else None,
        image_path=first.image_path if first else None,
        images=pictures or None,
        keep_until=None if first is None or job.remove_at is None else wire_time(job.remove_at),
        pictures_removed_at=None if job.pictures_removed_at is None else wire_time(job.pictures_removed_at),
        metadata=metadata(job, details.images[0] if details.images else None),
        parameters=dict(job.parameters),
        style=job.style,
        variables=None if job.variables is None else dict(job.variables),
        original_prompt=job.original_prompt,
        batch_id=job.batch_id,
        index=job.batch_index,
        custom_id=job.custom_id,
        retry_of=job.retry_of,
        replaced_by=job.replaced_by,
        parent_id=job.parent_id,
        children=list(details.children) or None,
        user_id=job.user_id,
    )


def _picture(image: StoredImage, addresses: PictureAddresses) -> StoredPicture:
    path = IMAGES_PATH + image.file
    return StoredPicture(
        image_url=image.source_url or addresses.base + path,
        image_path=path,
        signed_url=addresses.signed(image.file),
        thumbnails=addresses.thumbnails(image.file),
        width=image.width,
        height=image.height,
        bytes=image.bytes,
        sha256=image.sha256,
    )


def metadata(job: Job, first: HasSize | None) -> PictureMetadata:
    """How the request's images are or were made; `first` is the first of them."""
    reported = job.source_metadata
    return PictureMetadata(
        model=reported_values.model(reported, job.model),
        prompt=job.prompt,
        width=first.width if first else None,
        height=first.height if first else None,
        seed=reported_values.seed(reported),
        seeds=reported_values.seeds(reported),
        revised_prompt=reported_values.revised_prompt(reported),
        ignored_parameters=reported_values.ignored_parameters(reported),
        generated_at=None if job.generated_at is None else wire_time(job.generated_at),
    )
