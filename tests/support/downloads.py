"""Runs downloads and reads their results."""

from __future__ import annotations

from app.db import events, images
from app.db.images import StoredImage
from app.db.jobs import Job
from app.domain.upload_urls import UploadLocation
from app.services.download import Download
from tests.support.fakes import Bench
from tests.support.image_samples import png
from tests.support.job_factory import reload_job, update_job

URL = "https://images.example/a.png"
OTHER = "https://images.example/b.png"
PNG = png(8, 8)


def run(bench: Bench, job: Job) -> Job:
    """Run the job's download; returns the job afterwards."""
    Download(bench.ports).run()
    return reload_job(bench.database, job)


def make_due(bench: Bench, job: Job) -> None:
    """Make the job due, as if its waiting time had passed."""
    update_job(bench.database, job, due_at=0)


def stored(bench: Bench, job: Job) -> list[StoredImage]:
    """The stored pictures of a job."""
    return bench.database.read(lambda c: images.of_job(c, job.id))


def event_types(bench: Bench, job: Job) -> list[str]:
    """The types of the job's events."""
    return [event.type for event in bench.database.read(lambda c: events.after(c, job.id, 0))]


def upload(bench: Bench, job: Job, position: int = 0, attempt: int = 1, content: bytes = PNG) -> str:
    """Upload a picture for the job; returns the URL that an extension would report."""
    place = UploadLocation(job.id, attempt, position)
    with bench.store.stage() as staged:
        staged.file.write(content)
        bench.store.keep_upload(staged, *place)
    bench.database.write(lambda tx: images.reserve_upload(tx, place, 0))
    bench.database.write(lambda tx: images.complete_upload(tx, place, "0" * 64, len(content)))
    return "http://127.0.0.1:3000" + place.path


def uploads(bench: Bench, job: Job) -> list[UploadLocation]:
    """The uploads of the job."""
    return bench.database.read(lambda c: images.uploads_of(c, job.id))


class Killed(BaseException):
    """Simulates the end of a process: no code catches it."""
