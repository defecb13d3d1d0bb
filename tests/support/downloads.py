"""Runs downloads and reads their results."""

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
    """Run the job's download; returns the job afterwards."""
    Download(bench.ports).run()
    return found(bench.database, job)


def make_due(bench: Bench, job: Job) -> None:
    """Make the job due, as if its waiting time had passed."""
    set_values(bench.database, job, due_at=0)


def stored(bench: Bench, job: Job) -> list[StoredImage]:
    """The pictures of a completed job."""
    return bench.database.read(lambda c: images.of_job(c, job.id))


def facts(bench: Bench, job: Job) -> list[str]:
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
    """The uploads that the job has."""
    return bench.database.read(lambda c: images.uploads_of(c, job.id))


class Killed(BaseException):
    """As when a process ends: nothing catches it."""
