"""What clients ask: how a request stands, what came of it, which requests there are."""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TypeVar

from sqlalchemy import Connection

from app.db import clock, events, fleet, images, jobs
from app.db.events import Logged
from app.db.images import StoredImage
from app.db.jobs import Job, JobSummary
from app.domain import policy
from app.domain.errors import NotFound
from app.domain.policy import ConnectedExtension
from app.domain.states import FINAL, Status
from app.services.credential_status import ANYBODY, CredentialStatus
from app.services.ports import Ports
from app.services.watching import Watching

COUNTED_AHEAD = 1_000
Sought = TypeVar("Sought", Job, JobSummary)


@dataclass(frozen=True, slots=True)
class Waiting:
    """Where a waiting job stands (1 is next; counted up to 1,001), and a sentence that says why it waits."""

    position: int
    reason: str


@dataclass(frozen=True, slots=True)
class View:
    """A request as it stands, with what explains it: why it waits, or the pictures it led to."""

    job: Job
    waiting: Waiting | None = None
    images: Sequence[StoredImage] = ()


@dataclass(frozen=True, slots=True)
class Glance:
    """How a request stands that does not wait."""

    job: JobSummary
    waiting: None = None


@dataclass(frozen=True, slots=True)
class Page:
    """Some requests, newest first; `cursor` continues the list and is None at its end."""

    views: Sequence[View]
    cursor: str | None


class Lookup:
    """Answers questions; changes nothing."""

    def __init__(self, ports: Ports, watching: Watching) -> None:
        self.ports = ports
        self.watching = watching

    def view(self, request_id: str, owner: str | None = None) -> View:
        """The request as it stands; where an `owner` is given, nobody else's is found. Raises NotFound."""
        return self.ports.database.read(lambda c: _views(c, [_found(c, request_id, owner)])[0])

    def glance(self, request_id: str, owner: str | None = None) -> Glance | View:
        """The same where it is not asked what the request is for and which pictures it has led to."""
        job = self.ports.database.read(lambda c: _theirs(jobs.find_summary(c, request_id), request_id, owner))
        if job.status is Status.ACCEPTED:  # it takes more than one question to say why it waits
            return self.view(request_id, owner)
        return Glance(job)

    def await_news(
        self,
        request_id: str,
        wait_s: float,
        since: int | None = None,
        owner: str | None = None,
        credential: CredentialStatus = ANYBODY,
    ) -> None:
        """Wait until there is something newer than version `since` (by default: newer than what is there now), or the request
        is final, or `wait_s` seconds are over.

        Raises NotFound, and Unauthorized where what the caller came in with is no longer good before that.
        """
        if wait_s <= 0:
            return
        ends = time.monotonic() + wait_s
        with self.watching.watch(request_id) as watch:
            job = self.ports.database.read(lambda c: _found(c, request_id, owner))
            known = job.version if since is None else since
            if job.status not in FINAL and job.version <= known:
                watch.pass_over(known)
                credential.wait(watch, ends - time.monotonic())

    def events_after(self, request_id: str, seq: int, owner: str | None = None) -> tuple[Job, list[Logged]]:
        """The request, and what happened to it after the event numbered `seq`. Raises NotFound."""

        def work(connection: Connection) -> tuple[Job, list[Logged]]:
            job = _found(connection, request_id, owner)
            # events that came since are for the next look, which finds the job as they left it
            return job, events.after(connection, request_id, seq, job.last_event)

        return self.ports.database.read(work)

    def page(self, user_id: str | None, status: Status | None, cursor: str | None, limit: int) -> Page:
        """A user's requests, or everybody's (None), newest first, from where `cursor` says."""

        def work(connection: Connection) -> Page:
            if user_id is None:
                found = jobs.of_all_users(connection, status, cursor, limit + 1)
            else:
                found = jobs.of_user(connection, user_id, status, cursor, limit + 1)
            shown = found[:limit]
            more = shown[-1].id if len(found) > limit else None
            return Page(_views(connection, shown), more)

        return self.ports.database.read(work)

    def picture(self, file: str) -> StoredImage | None:
        """What is known of the picture that is served under this file name."""
        return self.ports.database.read(lambda c: images.of_file(c, file))


def _found(connection: Connection, request_id: str, owner: str | None) -> Job:
    return _theirs(jobs.find(connection, request_id), request_id, owner)


def _theirs(job: Sought | None, request_id: str, owner: str | None) -> Sought:
    if job is None or owner not in (None, job.user_id):
        raise NotFound(f"Not found: there is no request {request_id}.")
    return job


def _views(connection: Connection, some: Sequence[Job]) -> list[View]:
    waits = any(job.status is Status.ACCEPTED for job in some)
    members = fleet.connected(connection) if waits else []
    return [_view(connection, job, members) for job in some]


def _view(connection: Connection, job: Job, members: Sequence[ConnectedExtension]) -> View:
    if job.status is Status.COMPLETED:
        return View(job, images=images.of_job(connection, job.id))
    if job.status is Status.ACCEPTED:
        return View(job, waiting=_waiting(connection, job, members))
    return View(job)


def _waiting(connection: Connection, job: Job, members: Sequence[ConnectedExtension]) -> Waiting:
    now = clock.now(connection)
    position = 1 + jobs.ahead_of(connection, job, COUNTED_AHEAD)
    return Waiting(position, policy.why_waiting(members, job.model, now))
