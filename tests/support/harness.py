"""A test harness: the services on a real database and fake ports, with one method for each act of a client or extension."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from sqlalchemy import select

from app.container import Services, build
from app.db import events
from app.db.events import LoggedEvent
from app.db.fleet import ExtensionState, Socket
from app.db.jobs import Job
from app.db.tables import extensions, hubs, models_served, sweeps
from app.domain.image_request import ImageRequest
from app.domain.messages import (
    Authenticate,
    ExtensionMetadata,
    Heartbeat,
    HeartbeatStatus,
    ImageGenerated,
    ImageGenerationFailed,
    ImageGenerationProgress,
)
from app.services.generation import Holder
from tests.support.fakes import Bench
from tests.support.job_factory import reload_job, update_job

HUB = "hub-1"
HOUR = 3_600_000
PICTURE = "https://images.example/a.png"


@dataclass(frozen=True)
class Harness:
    """The services under test, and methods that do what clients, extensions and the passing of time do to them."""

    bench: Bench
    services: Services

    @classmethod
    def of(cls, bench: Bench) -> Harness:
        """Build the services on these ports."""
        return cls(bench, build(bench.ports, summary_age_s=0))

    def with_settings(self, **changes: Any) -> Harness:
        """The same database and ports with these settings changed."""
        return Harness.of(self.bench.with_settings(**changes))

    # -- clients

    def submit(self, user: str = "ann", model: str = "dall-e-3", **more: Any) -> Job:
        """Submit a request as a client."""
        return self.services.submission.submit(ImageRequest("a fox", model, user, **more), "correlation-1").job

    def reload(self, job: Job) -> Job:
        """Read the job's row again."""
        return reload_job(self.bench.database, job)

    def events(self, job: Job) -> list[LoggedEvent]:
        """The job's events, oldest first."""
        return self.bench.database.read(lambda c: events.after(c, job.id, 0))

    def event_types(self, job: Job) -> list[str]:
        """The types of the job's events, oldest first."""
        return [event.type for event in self.events(job)]

    # -- extensions

    def connect(
        self,
        extension_id: str = "e1",
        *capabilities: str,
        max_concurrent: int = 1,
        hub: str = HUB,
        number: int = 1,
        active: tuple[str, ...] | None = None,
    ) -> Holder:
        """Connect an extension; each of its connections has a number of its own."""
        return self.connect_and_welcome(
            extension_id, *capabilities, max_concurrent=max_concurrent, hub=hub, number=number, active=active
        )[0]

    def connect_and_welcome(
        self,
        extension_id: str,
        *capabilities: str,
        max_concurrent: int = 1,
        hub: str = HUB,
        number: int = 1,
        active: tuple[str, ...] | None = None,
    ) -> tuple[Holder, tuple[str, ...]]:
        """Connect an extension; returns the service's answer too."""
        holder = Holder(extension_id, f"{extension_id}-socket-{number}")
        metadata = ExtensionMetadata(capabilities=capabilities or ("*",), max_concurrent=max_concurrent)
        hello = Authenticate(extension_id=extension_id, metadata=metadata, active_request_ids=active)
        self.services.extensions.hub_heartbeat(hub)
        return holder, self.services.extensions.connected(hello, Socket(hub, holder.connection_id))

    def assign(self) -> int:
        """Run the dispatcher once; returns how many requests it assigned."""
        return self.services.dispatch.assign_waiting()

    def submit_and_assign(self, **request: Any) -> Job:
        """Submit a request and offer it to a free extension, which has not confirmed receipt yet."""
        job = self.submit(**request)
        assert self.assign() == 1
        return self.reload(job)

    def submit_and_start(self, **request: Any) -> Job:
        """Submit a request and have a free extension confirm its receipt."""
        job = self.submit_and_assign(**request)
        self.services.generation.offer_received(job.id, job.lease or "")
        return self.reload(job)

    def connect_and_start(self, extension_id: str = "e1", **request: Any) -> tuple[Holder, Job]:
        """Connect an extension and have it start on a new request."""
        holder = self.connect(extension_id)
        return holder, self.submit_and_start(**request)

    def report_progress(self, holder: Holder, job: Job, percent: int = 50, **more: Any) -> None:
        """Report progress as the extension that holds the request."""
        self.services.generation.report(holder, ImageGenerationProgress(request_id=job.id, progress=percent, **more))

    def report_image(self, holder: Holder, job: Job, **more: Any) -> Any:
        """Report the finished picture as the extension; returns the service's answer."""
        return self.services.generation.report(holder, ImageGenerated(request_id=job.id, image_urls=(PICTURE,), **more))

    def report_failure(self, holder: Holder, job: Job, error: str = "The tab crashed", **more: Any) -> None:
        """Report a failure as the extension."""
        self.services.generation.report(holder, ImageGenerationFailed(request_id=job.id, error=error, **more))

    def run_downloads(self) -> None:
        """Run the downloads that are due, as a worker does."""
        self.services.download.run()

    def heartbeat(
        self, holder: Holder, active_request_ids: tuple[str, ...] | None = None, **status: Any
    ) -> ExtensionState | None:
        """Send a heartbeat of the extension; returns its state, None if it is not connected with this socket any more."""
        heartbeat = Heartbeat(
            extension_id=holder.extension_id,
            status=HeartbeatStatus(**status),
            active_request_ids=active_request_ids,
        )
        return self.services.extensions.heartbeat(holder, heartbeat)

    def extension_row(self, extension_id: str = "e1") -> Any:
        """The extension's row."""
        return self.bench.database.read(
            lambda c: c.execute(select(extensions).where(extensions.c.id == extension_id)).one()
        )

    # -- the passing of time

    def update_job(self, job: Job, **values: object) -> None:
        """Set columns of the job's row, to simulate that time has passed."""
        update_job(self.bench.database, job, **values)

    def expire_lease(self, job: Job) -> None:
        """Let the lease of the job expire."""
        self.update_job(job, lease_until=1)

    def update_extension(self, extension_id: str = "e1", **values: object) -> None:
        """Set columns of the extension's row."""
        statement = extensions.update().where(extensions.c.id == extension_id).values(**values)
        self.bench.database.write(lambda tx: tx.connection.execute(statement))

    def expire_hub(self, hub: str = HUB) -> None:
        """Pretend that this web process has not sent a heartbeat for a long time."""
        statement = hubs.update().where(hubs.c.id == hub).values(seen_at=1)
        self.bench.database.write(lambda tx: tx.connection.execute(statement))

    def leave_unserved(self, job: Job) -> None:
        """Pretend that no extension has served any model for an hour, and that the job has waited as long."""
        statement = models_served.update().values(served_at=models_served.c.served_at - HOUR)
        self.bench.database.write(lambda tx: tx.connection.execute(statement))
        self.update_job(job, queued_at=self.now() - HOUR)

    def sweep(self) -> None:
        """Run the sweep that Celery beat starts every few seconds."""
        self.services.housekeeping.sweep()

    def set_last_sweep(self, ms_ago: int) -> None:
        """Pretend that the last sweep ran this long ago."""
        self.bench.database.write(lambda tx: tx.connection.execute(sweeps.update().values(at=tx.now - ms_ago)))

    def now(self) -> int:
        """The database's current time in ms."""
        return self.bench.database.write(lambda tx: tx.now)
