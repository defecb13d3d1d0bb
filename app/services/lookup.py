"""What clients read: the status of a request, its result, lists of requests."""

import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, Generic, TypeVar

from sqlalchemy import Connection

from app.db import events, images, jobs
from app.db.events import LoggedEvent
from app.db.images import StoredImage
from app.db.jobs import Job, JobSummary
from app.domain.clock import wire_time
from app.domain.errors import Gone, NotFound
from app.domain.states import FINAL, Status
from app.services import long_polling
from app.services.credential_status import NO_CREDENTIAL, CredentialStatus
from app.services.ports import Ports
from app.services.waiting import QueueInfo, Waiting
from app.services.watching import Watching

CHILDREN = 100

Found = TypeVar("Found", Job, JobSummary)


@dataclass(frozen=True, slots=True)
class JobDetails(Generic[Found]):
    """A request with its images once it is completed; `queue` while it waits.

    `children` are the newest requests that were made from its images, at most `CHILDREN`.
    """

    job: Found
    queue: QueueInfo | None = None
    images: Sequence[StoredImage] = ()
    children: Sequence[str] = ()


@dataclass(frozen=True, slots=True)
class JobPage:
    """Some requests, newest first; `cursor` continues the list and is None at its end."""

    jobs: Sequence[JobDetails[Job]]
    cursor: str | None


class Lookup:
    def __init__(self, ports: Ports, watching: Watching, waiting: Waiting) -> None:
        self.ports = ports
        self.waiting = waiting
        self.watching = watching

    def details(self, request_id: str, owner: str | None = None) -> JobDetails[Job]:
        """The request and its images; only a request of `owner`, if one is given. Raises NotFound."""
        found = self.ports.database.read(lambda c: _with_pictures(c, [_found(c, request_id, owner)]))
        return self._with_queue(found)[0]

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

        def version() -> int | None:
            job = self.ports.database.read(lambda c: _found(c, request_id, owner))
            return None if job.status in FINAL else job.version

        long_polling.await_news(self.watching, request_id, version, wait_s, since, credential)

    def changes_until_final(
        self,
        request_id: str,
        wait_s: float,
        every_s: float,
        credential: CredentialStatus = NO_CREDENTIAL,
        *,
        previews: bool = False,
    ) -> Iterator[Mapping[str, Any] | None]:
        """The changes of the request (see `services.changes`) as they happen, and None after each `every_s` seconds without
        one. With `previews` also notices of them, which have a `preview` and no `status`.

        It ends when the request is final, when `wait_s` seconds are over, or when this process stops. Raises NotFound, and
        Unauthorized if the caller's credential is revoked or expires meanwhile.
        """
        ends = time.monotonic() + wait_s
        with self.watching.watch(request_id, previews=previews) as watch, credential.monitored(watch.end):
            job = self.ports.database.read(lambda c: _found(c, request_id, None))
            watch.skip_to(job.version)
            status = job.status
            while status not in FINAL and not watch.over and (left := ends - time.monotonic()) > 0:
                change = watch.wait(min(left, every_s))
                credential.check()
                yield change
                status = Status(change["status"]) if change and "status" in change else status

    def events_after(self, request_id: str, seq: int, owner: str | None = None) -> tuple[Job, list[LoggedEvent]]:
        """The request and its events after the one numbered `seq`. Raises NotFound."""

        def work(connection: Connection) -> tuple[Job, list[LoggedEvent]]:
            job = _found(connection, request_id, owner)
            # later events belong to the next call, which then reads the job as of those events
            return job, events.after(connection, request_id, seq, job.last_event)

        return self.ports.database.read(work)

    def page(
        self, user_id: str | None, status: Status | None, cursor: str | None, limit: int, parent_id: str | None = None
    ) -> JobPage:
        """The requests of a user, or of all users (None), newest first, starting after `cursor`; or only those that were made
        from a picture of the request `parent_id`."""

        def work(connection: Connection) -> JobPage:
            if parent_id is not None:
                found = jobs.of_parent(connection, parent_id, user_id, status, cursor, limit + 1)
            elif user_id is None:
                found = jobs.of_all_users(connection, status, cursor, limit + 1)
            else:
                found = jobs.of_user(connection, user_id, status, cursor, limit + 1)
            shown = found[:limit]
            more = shown[-1].id if len(found) > limit else None
            return JobPage(_with_pictures(connection, shown), more)

        page = self.ports.database.read(work)
        return JobPage(self._with_queue(page.jobs), page.cursor)

    def picture(self, file: str) -> StoredImage | None:
        """The image that is served under this file name, or None. Raises Gone if it was removed."""
        found = self.ports.database.read(lambda c: images.of_file(c, file))
        if found is None:
            removed_at = self.ports.database.read(lambda c: images.removed_at(c, file))
            if removed_at is not None:
                raise Gone(f"Gone: this image was removed at {wire_time(removed_at)}. Its request is still there.")
        return found

    def kept_s(self, file: str) -> int | None:
        """In how many seconds the image of this file will be removed, at least 0; None if no day is set for that."""
        left_ms = self.ports.database.read(lambda c: images.kept_ms(c, file))
        return None if left_ms is None else max(0, left_ms // 1000)

    def _with_queue(self, some: Sequence[JobDetails[Job]]) -> list[JobDetails[Job]]:
        queue = self.waiting.of([each.job for each in some if each.job.status is Status.ACCEPTED])
        return [replace(each, queue=queue.get(each.job.id)) for each in some]


def _with_pictures(connection: Connection, some: Sequence[Job]) -> list[JobDetails[Job]]:
    """The requests with their images and what was made from these: one query for each, however many requests there are."""
    completed = [job.id for job in some if job.status is Status.COMPLETED]  # the others have neither
    if not completed:
        return [JobDetails(job) for job in some]
    pictures, children = images.of_jobs(connection, completed), jobs.children(connection, completed, CHILDREN)
    return [JobDetails(job, images=pictures.get(job.id, ()), children=children.get(job.id, ())) for job in some]


def _found(connection: Connection, request_id: str, owner: str | None) -> Job:
    return owned(jobs.find(connection, request_id), request_id, owner)


def owned(job: Found | None, request_id: str, owner: str | None) -> Found:
    """The request, if there is one and it belongs to `owner`; None for any owner. Raises NotFound."""
    if job is None or owner not in (None, job.user_id):
        raise NotFound(f"Not found: there is no request {request_id}.")
    return job
