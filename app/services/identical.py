"""Finding a request whose pictures an identical one of the same user can get."""

import contextlib
from dataclasses import dataclass
from functools import partial
from typing import Any

from sqlalchemy import Connection

from app.db import images, reuse
from app.db.engine import Transaction
from app.db.jobs import Job
from app.domain.errors import NotCached
from app.domain.image_request import CacheMode
from app.domain.images import PictureError
from app.domain.states import Status
from app.services.ports import Ports


@dataclass(frozen=True, slots=True)
class Source:
    """A request to follow; `completed` is whether its pictures are there already."""

    id: str
    completed: bool


class Undecided(Exception):
    """Another transaction changes what was found, or decides about an identical request, at this moment."""


def following(source: Source | None) -> dict[str, Any]:
    """The columns of a request that follows this one, or none any more."""
    return {
        "follows": None if source is None else source.id,
        "cached_from": source.id if source is not None and source.completed else None,
    }


class Identical:
    def __init__(self, ports: Ports) -> None:
        self.ports = ports

    def forget_lost(self, user_id: str, fingerprint: str) -> None:
        """Let no completed request be found whose files are gone. Call it before a transaction: a storage may be slow.

        If the storage fails, files count as there, and followers wait for it.
        """
        newest = partial(self._newest_files, user_id=user_id, fingerprint=fingerprint)
        with contextlib.suppress(PictureError):
            while (found := self.ports.database.read(newest)) is not None:
                job_id, files = found
                if all(self.ports.store.has(file) for file in files):
                    return
                self.ports.database.write(partial(reuse.forget, job_id=job_id))

    def find(self, tx: Transaction, user_id: str, fingerprint: str, priority: int, mode: CacheMode) -> Source | None:
        """The request whose pictures one of this user, fingerprint and class gets, marked as followed; None if there is none.

        Until the transaction ends, no other one decides about the same. Before the transaction begins, hold the user's local
        lock. Raises NotCached.
        """
        if mode is CacheMode.OFF:
            return None
        tx.lock("fingerprint", f"{user_id} {fingerprint}")
        while (found := self._found(tx.connection, user_id, fingerprint, priority, mode)) is not None:
            status = reuse.mark_followed(tx, found.id)
            if status is not None:  # else it has failed or was cancelled meanwhile
                return self._source(tx, found, status)
        if mode is CacheMode.ONLY:
            raise NotCached
        return None

    def find_at_once(self, tx: Transaction, job: Job) -> Source | None:
        """The same for a held item of a batch, without waiting for a lock. Raises Undecided."""
        fingerprint = job.fingerprint or ""
        if not tx.try_lock("fingerprint", f"{job.user_id} {fingerprint}"):
            raise Undecided
        found = self._found(tx.connection, job.user_id, fingerprint, job.priority, CacheMode.PREFER)
        if found is None:
            return None
        if not reuse.lock_at_once(tx, found.id):
            raise Undecided
        status = reuse.mark_followed(tx, found.id)
        if status is None:
            raise Undecided
        return self._source(tx, found, status)

    def _found(
        self, connection: Connection, user_id: str, fingerprint: str, priority: int, mode: CacheMode
    ) -> Job | None:
        # in this order: one that completes in between is found by the second query
        leader = reuse.find_open(connection, user_id, fingerprint, priority) if mode is CacheMode.PREFER else None
        completed = reuse.find_completed(connection, user_id, fingerprint)
        return leader if completed is None else completed

    def _source(self, tx: Transaction, found: Job, status: Status) -> Source:
        if status is Status.DOWNLOADING:  # a downloader passes by what is locked
            tx.after_commit(self.ports.tasks.download)
        return Source(found.id, status is Status.COMPLETED)

    def _newest_files(self, connection: Connection, user_id: str, fingerprint: str) -> tuple[str, list[str]] | None:
        completed = reuse.find_completed(connection, user_id, fingerprint)
        return completed and (completed.id, [each.file for each in images.of_job(connection, completed.id)])
