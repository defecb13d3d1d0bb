"""Drives the services in tests: clients submit, extensions connect, take requests and report."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from sqlalchemy import select

from app.container import Services, build
from app.db import events
from app.db.events import LoggedEvent
from app.db.fleet import Socket
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
from app.services.extensions import Welcome
from app.services.generation import Holder
from tests.support.fakes import Bench
from tests.support.jobs_made import found, set_values

HUB = "hub-1"
HOUR = 3_600_000
PICTURE = "https://images.example/a.png"


@dataclass(frozen=True)
class Harness:
    """The services with short methods for what clients and extensions do."""

    bench: Bench
    services: Services

    @classmethod
    def of(cls, bench: Bench) -> Harness:
        """Build the services on these ports."""
        return cls(bench, build(bench.ports))

    def with_settings(self, **changes: Any) -> Harness:
        """The same with other settings."""
        return Harness.of(self.bench.with_settings(**changes))

    # -- clients

    def order(self, user: str = "ann", model: str = "dall-e-3", **more: Any) -> Job:
        """Submit a request as a client."""
        return self.services.submission.submit(ImageRequest("a fox", model, user, **more), "correlation-1")

    def now(self, job: Job) -> Job:
        """The job's current row."""
        return found(self.bench.database, job)

    def facts(self, job: Job) -> list[LoggedEvent]:
        """The job's stored events."""
        return self.bench.database.read(lambda c: events.after(c, job.id, 0))

    def types(self, job: Job) -> list[str]:
        """The types of the job's events."""
        return [fact.type for fact in self.facts(job)]

    # -- extensions

    def join(
        self,
        extension_id: str = "e1",
        *capabilities: str,
        max_concurrent: int = 1,
        hub: str = HUB,
        again: int = 1,
        active: tuple[str, ...] | None = None,
    ) -> Holder:
        """The extension connects for the `again`th time."""
        return self.joined(
            extension_id, *capabilities, max_concurrent=max_concurrent, hub=hub, again=again, active=active
        )[0]

    def joined(
        self,
        extension_id: str,
        *capabilities: str,
        max_concurrent: int = 1,
        hub: str = HUB,
        again: int = 1,
        active: tuple[str, ...] | None = None,
    ) -> tuple[Holder, Welcome]:
        """The same, and the service's answer to the extension."""
        holder = Holder(extension_id, f"{extension_id}-socket-{again}")
        metadata = ExtensionMetadata(capabilities=capabilities or ("*",), max_concurrent=max_concurrent)
        hello = Authenticate(extension_id=extension_id, metadata=metadata, active_request_ids=active)
        self.services.extensions.hub_heartbeat(hub)
        return holder, self.services.extensions.connected(hello, Socket(hub, holder.connection_id))

    def hand_out(self) -> int:
        """Run the dispatcher once; the number of assigned requests."""
        return self.services.dispatch.assign_waiting()

    def offered(self, **order: Any) -> Job:
        """A request offered to a free extension, which has not confirmed receipt yet."""
        job = self.order(**order)
        assert self.hand_out() == 1
        return self.now(job)

    def taken(self, **order: Any) -> Job:
        """A request that a free extension works on."""
        job = self.offered(**order)
        self.services.generation.offer_received(job.id, job.lease or "")
        return self.now(job)

    def at_work(self, extension_id: str = "e1", **order: Any) -> tuple[Holder, Job]:
        """An extension that works on a request."""
        holder = self.join(extension_id)
        return holder, self.taken(**order)

    def progress(self, holder: Holder, job: Job, percent: int = 50, **more: Any) -> None:
        """The extension reports progress."""
        self.services.generation.report(holder, ImageGenerationProgress(request_id=job.id, progress=percent, **more))

    def deliver(self, holder: Holder, job: Job, **more: Any) -> Any:
        """The extension reports its picture; returns the service's answer."""
        return self.services.generation.report(holder, ImageGenerated(request_id=job.id, image_urls=(PICTURE,), **more))

    def give_up(self, holder: Holder, job: Job, error: str = "The tab crashed", **more: Any) -> None:
        """The extension reports a failure."""
        self.services.generation.report(holder, ImageGenerationFailed(request_id=job.id, error=error, **more))

    def beat(self, holder: Holder, active_request_ids: tuple[str, ...] | None = None, **status: Any) -> bool:
        """Send the extension's heartbeat."""
        heartbeat = Heartbeat(
            extension_id=holder.extension_id,
            status=HeartbeatStatus(**status),
            active_request_ids=active_request_ids,
        )
        return self.services.extensions.heartbeat(holder, heartbeat)

    def extension(self, extension_id: str = "e1") -> Any:
        """The extension's row."""
        return self.bench.database.read(
            lambda c: c.execute(select(extensions).where(extensions.c.id == extension_id)).one()
        )

    # -- the passing of time

    def pass_time(self, job: Job, **values: object) -> None:
        """Set columns of the job's row, to simulate that time has passed."""
        set_values(self.bench.database, job, **values)

    def lease_ends(self, job: Job) -> None:
        """The lease has expired."""
        self.pass_time(job, lease_until=1)

    def set_extension(self, extension_id: str = "e1", **values: object) -> None:
        """The same for an extension's row."""
        statement = extensions.update().where(extensions.c.id == extension_id).values(**values)
        self.bench.database.write(lambda tx: tx.connection.execute(statement))

    def hub_falls_silent(self, hub: str = HUB) -> None:
        """The web process has not been seen for long."""
        statement = hubs.update().where(hubs.c.id == hub).values(seen_at=1)
        self.bench.database.write(lambda tx: tx.connection.execute(statement))

    def long_unserved(self, job: Job) -> None:
        """No extension has been there for any model for an hour, and the request is as old."""
        statement = models_served.update().values(served_at=models_served.c.served_at - HOUR)
        self.bench.database.write(lambda tx: tx.connection.execute(statement))
        self.pass_time(job, created_at=self.clock() - HOUR)

    def sweep(self) -> None:
        """Run the sweep that beat starts every few seconds."""
        self.services.housekeeping.sweep()

    def last_sweep_was(self, ms_ago: int) -> None:
        """Set the time of the last sweep."""
        self.bench.database.write(lambda tx: tx.connection.execute(sweeps.update().values(at=tx.now - ms_ago)))

    def clock(self) -> int:
        """The database's time in ms."""
        return self.bench.database.write(lambda tx: tx.now)
