"""Running downloads, and looking at what they left."""

from __future__ import annotations

from app.db import events, images
from app.db.images import StoredImage
from app.db.jobs import Job
from app.domain.upload_urls import UploadLocation
from app.services.download import Download
from tests.support.fakes import Bench
from tests.support.hostile_images import png
from tests.support.jobs_made import found, set_values

URL = "https://images.example/a.png"
OTHER = "https://images.example/b.png"
PNG = png(8, 8)


def run(bench: Bench, job: Job) -> Job:
    """Run the job's download; how the job stands then."""
    Download(bench.ports).run()
    return found(bench.database, job)


def make_due(bench: Bench, job: Job) -> None:
    """Let the time pass that the job waits for."""
    set_values(bench.database, job, due_at=0)


def stored(bench: Bench, job: Job) -> list[StoredImage]:
    """The pictures of a completed job."""
    return bench.database.read(lambda c: images.of_job(c, job.id))


def facts(bench: Bench, job: Job) -> list[str]:
    """What happened to the job, as types of events."""
    return [event.type for event in bench.database.read(lambda c: events.after(c, job.id, 0))]


def upload(bench: Bench, job: Job, position: int = 0, attempt: int = 1, content: bytes = PNG) -> str:
    """Hand a picture over for the job; the URL that an extension would name it by."""
    place = UploadLocation(job.id, attempt, position)
    with bench.store.stage() as staged:
        staged.file.write(content)
        bench.store.keep_upload(staged, *place)
    bench.database.write(lambda tx: images.reserve_upload(tx, place, 0))
    bench.database.write(lambda tx: images.complete_upload(tx, place, "0" * 64, len(content)))
    return "http://127.0.0.1:3000" + place.path


def uploads(bench: Bench, job: Job) -> list[UploadLocation]:
    """The uploads that the job has."""
    return bench.database.read(lambda c: images.uploads_of(c, job.id))


class Killed(BaseException):
    """As when a process ends: nothing catches it."""
