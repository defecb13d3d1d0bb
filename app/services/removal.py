"""Removing pictures: when their time is over, or because their owner asks for it.

First the request is marked and its files are given up, in one transaction; then the files are deleted. After a crash in between
nothing is served any more, and the cleanup deletes the rest. Files that identical requests got are others, with the same bytes.
"""

import contextlib
from collections.abc import Sequence
from functools import partial

from app import logs
from app.db import images, jobs, removals
from app.db.compare_and_set import NOW
from app.db.engine import Transaction
from app.db.jobs import Job
from app.domain.errors import NoPictures
from app.domain.events import ImagesRemovedEvent
from app.domain.images import PictureError, stored_names
from app.domain.states import FINAL, Status, Step
from app.services import steps
from app.services.lookup import owned
from app.services.ports import Ports

BATCH = 200  # requests of one transaction
BATCHES = 25  # of one sweep
EXPIRED, REQUESTED, MISSING = "expired", "requested", "missing"

log = logs.get(__name__)


class Removal:
    def __init__(self, ports: Ports) -> None:
        self.ports = ports

    def sweep(self, now: int | None = None) -> int:
        """Remove the pictures that are due, of at most `BATCH` times `BATCHES` requests; returns of how many.

        Safe at any time and in several processes at once. `now` is in ms since the epoch, the database's by default.
        """
        removed = 0
        for _ in range(BATCHES):
            found, names = self.ports.database.write(partial(self._expire, now))
            delete_files(self.ports, names)
            removed += found
            if found < BATCH:
                break
        return removed

    def remove(self, request_id: str, owner: str | None = None) -> Job:
        """Remove the pictures of a completed request; idempotent. Raises NotFound, NoPictures.

        With an `owner`, requests of other users are not found.
        """
        job, names = self.ports.database.write(lambda tx: self._remove_owned(tx, request_id, owner))
        delete_files(self.ports, names)
        return job

    def mark(self, tx: Transaction, job_id: str, reason: str) -> tuple[Job | None, list[str]]:
        """Mark the pictures of a completed request as removed; returns it and the files to delete after the commit.

        None if it is not completed, or has none any more.
        """
        removed = steps.take(
            self.ports,
            tx,
            Step.REMOVE,
            job_id,
            {"pictures_removed_at": None},
            event=ImagesRemovedEvent(reason),
            pictures_removed_at=NOW,
            fingerprint=None,  # no identical request can get its pictures
        )
        return removed, [] if removed is None else removals.give_up_files(tx, [job_id])

    def _expire(self, now: int | None, tx: Transaction) -> tuple[int, list[str]]:
        found = removals.due(tx, BATCH, now)
        steps.take_all(
            self.ports,
            tx,
            Step.REMOVE,
            found,
            lambda _: ImagesRemovedEvent(EXPIRED),
            pictures_removed_at=tx.now,
            fingerprint=None,
        )
        return len(found), removals.give_up_files(tx, [job.id for job in found])

    def _remove_owned(self, tx: Transaction, request_id: str, owner: str | None) -> tuple[Job, list[str]]:
        job = owned(jobs.find_to_change(tx, request_id), request_id, owner)
        if job.status not in FINAL:
            raise NoPictures(
                f"The request is still {job.status.value}: cancel it (DELETE /api/images/{job.id}), or wait until it is completed."
            )
        if job.status is not Status.COMPLETED:
            raise NoPictures(f"The request was never completed (it is {job.status.value}): it has no pictures.")
        if job.pictures_removed_at is not None:
            return job, []
        removed, names = self.mark(tx, job.id, REQUESTED)
        return removed or job, names


def delete_files(ports: Ports, names: Sequence[str]) -> None:
    """Delete pictures that were given up, with their renditions. Those that cannot be deleted now stay on the list, for the cleanup."""
    deleted = []
    for name in names:
        with contextlib.suppress(PictureError):
            for each in stored_names(name):
                ports.store.delete(each)
            deleted.append(name)
    if deleted:
        ports.database.write(lambda tx: images.forget_intended(tx, deleted))
    if len(deleted) < len(names):
        log.warning("Files of removed pictures are left", action="removal.left", count=len(names) - len(deleted))
