"""What became of a request that a client of OpenAI's API has waited for."""

from app.container import Services
from app.db.jobs import Job
from app.domain.errors import GENERATION_FAILED, Gone, Unavailable
from app.domain.states import Status
from app.services.lookup import JobDetails
from app.web.openai.errors import Cancelled, Failed, StillWorking


def outcome(services: Services, request_id: str) -> JobDetails[Job]:
    """The completed request. Raises Failed, Cancelled, Gone, StillWorking, or Unavailable while this process stops."""
    details = services.lookup.details(request_id)
    job = details.job
    match job.status:
        case Status.COMPLETED:
            if job.pictures_removed_at is not None:
                raise Gone(f"The images of request {request_id} were removed.")
            return details
        case Status.CANCELLED:
            raise Cancelled(f"Request {request_id} was cancelled.")
        case Status.FAILED:
            raise Failed(job.error_code or GENERATION_FAILED, f"{_why(job)} (request {request_id})")
    if services.watching.ended:
        raise Unavailable(f"This process is about to stop. Request {request_id} goes on.", retry_after_s=1)
    why = "" if details.queue is None else f" {details.queue.reason}"
    raise StillWorking(
        f"Request {request_id} is not completed yet, but it goes on: get it at /api/images/{request_id}.{why}"
    )


def _why(job: Job) -> str:
    sentences = [text.rstrip(".") for text in (job.error, job.reason) if text]
    return "; ".join(dict.fromkeys(sentences)) or "The request failed"
