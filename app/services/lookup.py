"""What clients read: the status of a request, its result, lists of requests."""

import time
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Generic, TypeVar

from sqlalchemy import Connection

from app.db import clock, events, fleet, images, jobs, service_state
from app.db.events import LoggedEvent
from app.db.images import StoredImage
from app.db.jobs import Job, JobSummary
from app.domain import policy
from app.domain.errors import NotFound
from app.domain.policy import ANY_MODEL, ConnectedExtension
from app.domain.states import FINAL, Status
from app.services.credential_status import NO_CREDENTIAL, CredentialStatus
from app.services.ports import Ports
from app.services.watching import Watching

COUNTED_AHEAD = 1_000
IT_FOLLOWS = "An identical request of yours is in progress: this one gets its pictures."
Found = TypeVar("Found", Job, JobSummary)


@dataclass(frozen=True, slots=True)
class QueueInfo:
    """A waiting job's position in the queue (1 is next; counted up to 1,001), and a sentence that says why it waits.

    If no extension takes it until `waits_until` (ms), it fails.
    """

    position: int
    reason: str
    waits_until: int


@dataclass(frozen=True, slots=True)
class JobDetails(Generic[Found]):
    """A request with its images once it is completed; `queue` while it waits."""

    job: Found
    queue: QueueInfo | None = None
    images: Sequence[StoredImage] = ()


@dataclass(frozen=True, slots=True)
class JobPage:
    """Some requests, newest first; `cursor` continues the list and is None at its end."""

    jobs: Sequence[JobDetails[Job]]
    cursor: str | None


class Lookup:
    def __init__(self, ports: Ports, watching: Watching) -> None:
        self.ports = ports
        self.watching = watching

    def details(self, request_id: str, owner: str | None = None) -> JobDetails[Job]:
        """The request and its images; only a request of `owner`, if one is given. Raises NotFound."""
        return self.ports.database.read(lambda c: self._details(c, [_found(c, request_id, owner)])[0])

    def status(self, request_id: str, owner: str | None = None) -> JobDetails[JobSummary] | JobDetails[Job]:
        """The request's status, without images; only of a request of `owner`, if one is given. Raises NotFound.

        It reads one row and fewer columns than `details`, unless the request waits in the queue.
        """
        job = self.ports.database.read(lambda c: owned(jobs.find_summary(c, request_id), request_id, owner))
        if job.status is not Status.ACCEPTED:
            return JobDetails(job)
        return self.details(request_id, owner)

    def await_news(
        self,
        request_id: str,
        wait_s: float,
        since: int | None = None,
        owner: str | None = None,
        credential: CredentialStatus = NO_CREDENTIAL,
    ) -> None:
        """Wait until the request has a version newer than `since` (by default: than the current one), or is final, or
        `wait_s` seconds are over.

        Raises NotFound, and Unauthorized if the caller's credential is revoked or expires meanwhile.
        """
        if wait_s <= 0:
            return
        ends = time.monotonic() + wait_s
        with self.watching.watch(request_id) as watch:
            job = self.ports.database.read(lambda c: _found(c, request_id, owner))
            known = job.version if since is None else since
            if job.status not in FINAL and job.version <= known:
                watch.skip_to(known)
                credential.wait(watch, ends - time.monotonic())

    def events_after(self, request_id: str, seq: int, owner: str | None = None) -> tuple[Job, list[LoggedEvent]]:
        """The request and its events after the one numbered `seq`. Raises NotFound."""

        def work(connection: Connection) -> tuple[Job, list[LoggedEvent]]:
            job = _found(connection, request_id, owner)
            # later events belong to the next call, which then reads the job as of those events
            return job, events.after(connection, request_id, seq, job.last_event)

        return self.ports.database.read(work)

    def page(self, user_id: str | None, status: Status | None, cursor: str | None, limit: int) -> JobPage:
        """The requests of a user, or of all users (None), newest first, starting after `cursor`."""

        def work(connection: Connection) -> JobPage:
            if user_id is None:
                found = jobs.of_all_users(connection, status, cursor, limit + 1)
            else:
                found = jobs.of_user(connection, user_id, status, cursor, limit + 1)
            shown = found[:limit]
            more = shown[-1].id if len(found) > limit else None
            return JobPage(self._details(connection, shown), more)

        return self.ports.database.read(work)

    def picture(self, file: str) -> StoredImage | None:
        """The image that is served under this file name, or None."""
        return self.ports.database.read(lambda c: images.of_file(c, file))

    def _details(self, connection: Connection, some: Sequence[Job]) -> list[JobDetails[Job]]:
        any_waits = any(job.status is Status.ACCEPTED for job in some)
        members = fleet.connected(connection) if any_waits else []
        return [self._details_of(connection, job, members) for job in some]

    def _details_of(self, connection: Connection, job: Job, members: Sequence[ConnectedExtension]) -> JobDetails[Job]:
        if job.status is Status.COMPLETED:
            return JobDetails(job, images=images.of_job(connection, job.id))
        if job.status is Status.ACCEPTED:
            return JobDetails(job, queue=self._queue_info(connection, job, members))
        return JobDetails(job)

    def _queue_info(self, connection: Connection, job: Job, members: Sequence[ConnectedExtension]) -> QueueInfo:
        position = 1 + jobs.ahead_of(connection, job, COUNTED_AHEAD)
        able = any(policy.can_do(each.capabilities, job.model) for each in members)
        wanted = None if job.any_model and not able else job.model
        reason = policy.why_waiting(members, wanted, clock.now(connection))
        if job.follows is not None:
            reason = IT_FOLLOWS
        return QueueInfo(position, reason, self._waits_until(connection, job, members))

    def _waits_until(self, connection: Connection, job: Job, members: Sequence[ConnectedExtension]) -> int:
        """When `housekeeping` fails the job if it still waits then, in ms."""
        if job.deadline_at is not None:
            return job.deadline_at
        settings = self.ports.settings
        held_ms = 0 if job.held_since is None else clock.now(connection) - job.held_since
        queued_at = job.queued_at + held_ms
        longest = queued_at + settings.queue_timeout_ms
        if any(job.any_model or policy.can_do(each.capabilities, job.model) for each in members):
            return longest
        wanted = ANY_MODEL if job.any_model else job.model.lower()
        served_at = service_state.last_served(connection, wanted) or queued_at
        return min(longest, max(queued_at, served_at) + settings.no_extension_timeout_ms)


def _found(connection: Connection, request_id: str, owner: str | None) -> Job:
    return owned(jobs.find(connection, request_id), request_id, owner)


def owned(job: Found | None, request_id: str, owner: str | None) -> Found:
    """The request, if there is one and it belongs to `owner`; None for any owner. Raises NotFound."""
    if job is None or owner not in (None, job.user_id):
        raise NotFound(f"Not found: there is no request {request_id}.")
    return job
