"""Jobs in a given state, created by the same functions that the service uses."""

from __future__ import annotations

import uuid

from app.db import fleet, jobs
from app.db.engine import Database, Transaction
from app.db.fleet import Socket
from app.db.jobs import Job
from app.db.tables import jobs as table
from app.domain.events import ImageDownloadStartedEvent, ImageGenerationAssignedEvent
from app.domain.ids import uuid7
from app.domain.messages import Authenticate
from app.domain.states import Step
from app.services import steps
from tests.support.fakes import Bench

EXTENSION = "chrome-extension-1"
SOCKET = Socket("hub-1", "connection-1")


def add_job(database: Database, **values: object) -> Job:
    """Add a waiting job; `values` are its columns where the defaults do not fit."""
    request = {"correlation_id": "c-1", "user_id": "ann", "model": "dall-e-3", "prompt": "a fox", "parameters": {}}

    def work(tx: Transaction) -> Job:
        return jobs.add(tx, str(uuid.uuid4()), {**request, "number_of_images": 1, **values})

    return database.write(work)


def connect_extension(bench: Bench, extension_id: str = EXTENSION, socket: Socket = SOCKET) -> None:
    """Connect the extension."""
    bench.database.write(lambda tx: fleet.connect(tx, Authenticate(extension_id=extension_id), socket))


def processing_job(bench: Bench, extension_id: str = EXTENSION, socket: Socket = SOCKET) -> Job:
    """Add a job and assign it to the extension, which has confirmed receipt."""

    def work(tx: Transaction) -> Job:
        request = {"correlation_id": "correlation-1", "user_id": "ann", "model": "dall-e-3", "prompt": "a fox"}
        more = {"parameters": {}, "number_of_images": 1}
        job = jobs.add(tx, uuid7(tx.now, bench.randomness.bytes(10)), {**request, **more})
        taken = steps.take(
            bench.ports,
            tx,
            Step.ASSIGN,
            job.id,
            event=ImageGenerationAssignedEvent(extension_id, 1),
            was_held_by=extension_id,
            holder=extension_id,
            connection_id=socket.connection_id,
            lease=bench.randomness.token(),
            lease_until=tx.now + 60_000,
            attempt=1,
            attempt_until=tx.now + 60_000,
            handed_over=True,
        )
        assert taken is not None
        return taken

    return bench.database.write(work)


def report_generated(bench: Bench, job: Job, *urls: str) -> Job:
    """Report pictures at these URLs as the extension; returns the job, which is now downloading."""

    def work(tx: Transaction) -> Job:
        moved = steps.take(
            bench.ports,
            tx,
            Step.GENERATED,
            job.id,
            event=ImageDownloadStartedEvent(job.holder, job.attempt, len(urls)),
            was_held_by=job.holder,
            sources=list(urls),
            generated_at=tx.now,
            due_at=tx.now,
            lease=None,
            lease_until=None,
            attempt_until=None,
        )
        assert moved is not None
        return moved

    return bench.database.write(work)


def downloading_job(bench: Bench, *urls: str) -> Job:
    """Add a job whose pictures are to be fetched from these URLs."""
    return report_generated(bench, processing_job(bench), *urls)


def reload_job(database: Database, job: Job) -> Job:
    """Read the job's row again."""
    now = database.read(lambda c: jobs.find(c, job.id))
    assert now is not None
    return now


def update_job(database: Database, job: Job, **values: object) -> None:
    """Set columns of the job's row, to simulate that time has passed."""
    statement = table.update().where(table.c.id == job.id).values(**values)
    database.write(lambda tx: tx.connection.execute(statement))
