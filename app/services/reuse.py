"""Identical requests of one user: a later one gets the pictures of an earlier one instead of having its own made.

A request that may, and finds one, is held and follows it. Once the earlier one is completed, the follower gets its pictures:
each request has files of its own, with the same bytes. If the earlier one fails or is cancelled, its followers look for
another one; the first that finds none enters the queue, and the others follow it.

A request that others follow is marked (`followed`) until they are resolved, so that a crash leaves nothing undone.
"""

import contextlib
from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import partial

from sqlalchemy import Connection

from app import logs
from app.db import images, jobs, pauses, reuse
from app.db.compare_and_set import NOW
from app.db.engine import Transaction
from app.db.images import StoredImage
from app.db.jobs import Job
from app.domain.errors import NOT_CACHED, NotCached
from app.domain.events import ImageGeneratedEvent
from app.domain.image_request import CacheMode
from app.domain.images import PictureError, file_name, thumbnail_names
from app.domain.states import FINAL, Step
from app.services import steps
from app.services.generation import IMAGES_PATH
from app.services.holding import Holding
from app.services.identical import Identical, following
from app.services.lifetimes import Lifetimes
from app.services.ports import Ports
from app.services.requeueing import Requeueing

AT_ONCE = 50  # followers of one transaction
LEADERS = 200  # of one task
HITS = "cache_hits"  # the counter of requests that got the pictures of another one
PICTURES_GONE = "The pictures of the identical request were removed."

log = logs.get(__name__)


@dataclass(frozen=True, slots=True)
class Copies:
    """A follower, and the pictures that it is about to get."""

    job: Job
    pictures: Sequence[StoredImage]

    @property
    def names(self) -> list[str]:
        """Those of their files."""
        return [each.file for each in self.pictures]


class FilesGivenUp(Exception):
    """A sweep has given up the files as abandoned: they must not be kept."""


class Reuse:
    def __init__(self, ports: Ports, requeueing: Requeueing, holding: Holding) -> None:
        self.ports = ports
        self.requeueing = requeueing
        self.holding = holding
        self.identical = Identical(ports)
        self.lifetimes = Lifetimes(ports)

    def any_due(self, connection: Connection) -> bool:
        """True if there are followers to resolve."""
        return bool(reuse.ended_leaders(connection, 1))

    def resolve_all(self) -> None:
        """Resolve the followers of all requests that have ended. Safe at any time and in parallel."""
        for leader_id in self.ports.database.read(lambda c: reuse.ended_leaders(c, LEADERS)):
            self.resolve(leader_id)

    def resolve(self, leader_id: str) -> None:
        """Resolve the followers of a request that has ended. If the disk fails, they wait for the next sweep."""
        leader = self.ports.database.read(lambda c: jobs.find(c, leader_id))
        if leader is None or leader.status not in FINAL:
            return
        try:
            self._resolve(leader)
        except PictureError as error:
            log.warning("Pictures were not reused", action="reuse.failed", request_id=leader.id, problem=str(error))
            return
        self.ports.database.write(partial(self._end, leader))

    def _resolve(self, leader: Job) -> None:
        """Raises PictureError."""
        stored, after = self._stored(leader), reuse.FIRST
        while page := self.ports.database.write(partial(self._intend, leader, stored, after)):
            if not (stored and self._give_pictures(leader, stored, page)):
                stored = []
                self.ports.database.write(partial(reuse.forget, job_id=leader.id))
                self.ports.database.write(partial(self._look_again, leader, after))
            last = page[-1].job
            after = last.priority, last.id

    def _stored(self, leader: Job) -> list[StoredImage]:
        """None of those that were removed. If that happens later, there is no file to link."""
        if leader.pictures_removed_at is not None:
            return []
        return self.ports.database.read(lambda c: images.of_job(c, leader.id))

    def _intend(
        self, leader: Job, stored: Sequence[StoredImage], after: tuple[int, str], tx: Transaction
    ) -> list[Copies]:
        """What some followers get, whose files are about to be made."""
        some = reuse.followers(tx, leader.id, AT_ONCE, after)
        page = [Copies(job, _renamed(job, stored)) for job in some]
        for copies in page if stored else ():
            images.intend_again(tx, copies.job.id, copies.names)
        return page

    def _give_pictures(self, leader: Job, stored: Sequence[StoredImage], page: Sequence[Copies]) -> bool:
        """Complete the followers; False if the leader's files are gone. Raises PictureError."""
        for copies in page:
            if not self._link(stored, copies.pictures):
                return False
            try:
                self.ports.database.write(partial(self._complete, leader, copies))
            except FilesGivenUp:
                log.warning("Files were given up", action="reuse.given_up", request_id=copies.job.id)
        return True

    def _link(self, stored: Sequence[StoredImage], copies: Sequence[StoredImage]) -> bool:
        """False if there is no such file. Files that are not kept are removed by a sweep. Raises PictureError."""
        return all(self._link_picture(old.file, new.file) for old, new in zip(stored, copies, strict=True))

    def _link_picture(self, old: str, new: str) -> bool:
        """With the thumbnails that there are. Raises PictureError."""
        if not self.ports.store.link(old, new):
            return False
        for name, new_name in zip(thumbnail_names(old), thumbnail_names(new), strict=True):
            with contextlib.suppress(PictureError):
                self.ports.store.link(name, new_name)
        return True

    def _complete(self, leader: Job, copies: Copies, tx: Transaction) -> None:
        """Raises FilesGivenUp."""
        completed = steps.take(
            self.ports,
            tx,
            Step.REUSE,
            copies.job.id,
            {"follows": leader.id},
            event=ImageGeneratedEvent(tuple(IMAGES_PATH + name for name in copies.names), leader.id),
            progress=100,
            finished_at=NOW,
            held_since=None,
            follows=None,
            cached_from=leader.id,
            model=leader.model,
            source_metadata=leader.source_metadata,
            generated_at=leader.generated_at,
            **self.lifetimes.columns(tx, copies.job),
        )
        if completed is None:  # cancelled, late or resolved by another process meanwhile
            return
        if not images.keep_intended(tx, copies.names):
            raise FilesGivenUp
        images.add(tx, completed.id, copies.pictures)
        reuse.count(tx, HITS)

    def _look_again(self, leader: Job, after: tuple[int, str], tx: Transaction) -> None:
        """The followers after this one get no pictures from `leader`: each finds another one, or goes its own way."""
        for job in reuse.followers(tx, leader.id, AT_ONCE, after):
            try:
                source = self.identical.find(
                    tx, job.user_id, job.fingerprint or "", job.priority, CacheMode(job.cache or "prefer")
                )
            except NotCached:
                self.requeueing.fail(tx, job, NOT_CACHED, PICTURES_GONE, {"follows": leader.id})
                continue
            moved = steps.take(self.ports, tx, Step.FOLLOW, job.id, {"follows": leader.id}, **following(source))
            if moved is None:
                continue
            if source is None:
                self._release(tx, moved)
            elif source.completed:
                tx.after_commit(self.ports.tasks.reuse)

    def _release(self, tx: Transaction, job: Job) -> None:
        """Put it into the queue, unless it is held for another reason, or in a batch, which decides that itself."""
        if job.batch_id is None and not pauses.user_is_paused(tx.connection, job.user_id):
            self.holding.release(tx, [job])

    def _end(self, leader: Job, tx: Transaction) -> None:
        jobs.find_to_change(tx, leader.id)  # locked before the followers are looked for
        reuse.unmark_followed(tx, leader.id)


def _renamed(job: Job, pictures: Sequence[StoredImage]) -> list[StoredImage]:
    """The pictures under the names that they have for this job, the same each time: processes may do the same at once."""
    return [replace(each, file=file_name(job.id, job.created_at + each.position)) for each in pictures]
