"""Variations of a picture of a completed request: a request like that, made from the picture."""

from dataclasses import dataclass

from app.db.jobs import Job
from app.domain.errors import Gone, InvalidRequest, NotCompleted
from app.domain.fingerprints import COUNT
from app.domain.image_request import ImageRequest
from app.domain.input_references import InputReference
from app.domain.states import Status
from app.services.lookup import JobDetails


@dataclass(frozen=True, slots=True)
class Wish:
    """What is to be different: everything that is None is as in the request whose picture it is."""

    prompt: str | None = None
    number_of_images: int | None = None
    strength: float | None = None
    position: int = 0
    keep_days: int | None = None


def variation_of(source: JobDetails[Job], wish: Wish) -> ImageRequest:
    """A request for variations of the picture at the wish's position. Raises NotCompleted, Gone, InvalidRequest."""
    job = source.job
    if job.status is not Status.COMPLETED:
        raise NotCompleted(f"The request is {job.status.value}: there are no variations of pictures that do not exist.")
    if job.pictures_removed_at is not None:
        raise Gone("Gone: the images of this request were removed.")
    if wish.position not in {image.position for image in source.images}:
        count = len(source.images)
        has = "the request has one picture" if count == 1 else f"the request has {count} pictures"
        raise InvalidRequest(f"position must be below {count}: {has}.", field="position")
    count_wanted = {} if wish.number_of_images is None else {COUNT: wish.number_of_images}
    picture = InputReference(request_id=job.id, position=wish.position, strength=wish.strength)
    return ImageRequest(
        wish.prompt or job.prompt,
        job.model,
        job.user_id,
        {**job.parameters, **count_wanted},
        keep_days=wish.keep_days or job.keep_days,
        inputs=(picture,),
    )
