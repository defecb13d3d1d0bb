"""Downloads the pictures of a job: fetches, validates and stores all of them, or none.

A download holds its job under its own lease. If it is interrupted, the job is due again when the lease expires. A download
that lost its lease removes its files.
"""

import contextlib
import math
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass
from functools import partial
from typing import Any, TypeVar

from app import logs
from app.config import Settings
from app.db import fleet, images, jobs
from app.db.compare_and_set import NOW, FromNow
from app.db.engine import Transaction
from app.db.images import StoredImage
from app.db.jobs import Job
from app.domain import policy
from app.domain.errors import DOWNLOAD_FAILED
from app.domain.events import ImageGeneratedEvent
from app.domain.images import (
    THUMBNAILS,
    Fault,
    ImageLimits,
    Picture,
    PictureError,
    Rendition,
    file_name,
    rendition_name,
    stored_names,
)
from app.domain.states import Step
from app.domain.upload_urls import UploadLocation
from app.services import steps
from app.services.extension_messages import send, send_cancel
from app.services.generation import IMAGES_PATH, confirmation
from app.services.lifetimes import Lifetimes
from app.services.ports import Ports
from app.services.requeueing import Requeueing
from app.services.sources import Sources
from app.services.uploads import discard

# A picture of 40 million pixels takes 2 s to decode and encode on an idle machine; it may have to wait for a decoder.
VALIDATION_MS = 20_000
SCANNING_MS = 20_000  # longer than the timeout of the scanner
OWN_FAULT_PAUSE_MS = 10_000  # until a download is tried again that failed through a fault of this service
NO_USABLE_PICTURE = f"It delivered no picture that could be stored ({DOWNLOAD_FAILED})."
TASK_S = 1.0  # then the task ends, so that the worker can stop or run other tasks

log = logs.get(__name__)


@dataclass(frozen=True, slots=True)
class Claim:
    """A download that this process has claimed. The `names` of its pictures are stored before the files are created."""

    job: Job
    names: Sequence[str]
    more_are_due: bool


T = TypeVar("T")
ClaimNext = Callable[[Transaction], Claim | None]


class DiskFailed(PictureError):
    """This service could not read or write its files."""

    fault = Fault.SERVICE
    retryable = True


class ClaimLost(Exception):
    """The lease expired, or one of the files was given up: the files must not be kept."""


@dataclass(frozen=True, slots=True)
class ValidImage:
    """A validated picture in a staged file, and its thumbnails in files that may be empty."""

    url: str
    staged: Any
    picture: Picture
    thumbnails: Mapping[Rendition, Any]


def longest_ms(settings: Settings, count: int) -> int:
    """How long the download of `count` pictures may take, in ms."""
    return count * (settings.download_timeout_ms + VALIDATION_MS + (SCANNING_MS if settings.clamav_url else 0))


class Download:
    def __init__(self, ports: Ports) -> None:
        self.ports = ports
        self.requeueing = Requeueing(ports)
        self.sources = Sources(ports)
        self.lifetimes = Lifetimes(ports)

    def run(self) -> None:
        """Run the downloads that are due and unclaimed, one after the other, for `TASK_S` seconds.

        Safe at any time and in parallel. If more than one is due, it wakes another worker. Raises Unavailable if the
        database cannot be reached; the job is due again when its lease expires.
        """
        ends, others_woken = time.monotonic() + TASK_S, False
        claim = self._claiming(self._claim)
        while claim is not None:
            if claim.more_are_due and not others_woken:
                self.ports.tasks.download()
                others_woken = True
            with logs.correlated(claim.job.correlation_id):
                claim = self._process(claim, partial(self._claim, before_s=ends))
        if time.monotonic() >= ends:
            self.ports.tasks.download()

    def _claiming(self, work: Callable[[Transaction], T]) -> T:
        """Run a transaction that claims. The threads of a process take turns, since they would not see each other's claims
        and exceed the limits of an extension or a host."""
        with self.ports.database.local_lock("downloads"):
            return self.ports.database.write(work)

    def _claim(self, tx: Transaction, before_s: float = math.inf) -> Claim | None:
        """Claim the first download that is due, if its extension and its host have not too many running ones.

        None if there is none, or if `before_s` (monotonic clock) has passed.
        """
        if time.monotonic() >= before_s:
            return None
        settings = self.ports.settings
        due = jobs.next_download(tx, settings.downloads_per_extension, settings.downloads_per_host)
        if due is None:
            return None
        job, more_are_due = due
        count = len(job.sources or ())
        claimed = steps.take(
            self.ports,
            tx,
            Step.FETCH,
            job.id,
            {"due_at": job.due_at, "download_attempt": job.download_attempt},
            lease=self.ports.randomness.token(),
            download_attempt=job.download_attempt + 1,
            due_at=FromNow(longest_ms(settings, count)),
        )
        if claimed is None:
            return None
        names = [file_name(job.id, claimed.updated_at + position) for position in range(count)]
        if names:
            images.intend(tx, job.id, names)
        return Claim(claimed, names, more_are_due)

    def _process(self, claim: Claim, claim_next: ClaimNext) -> Claim | None:
        """Run one download; returns the next claim."""
        tries = self.ports.settings.max_download_attempts
        try:
            if claim.job.download_attempt > tries:  # each one crashed before it could fail
                raise PictureError(f"The download was begun {tries} times and never finished.")
            return self._download(claim, claim_next)
        except PictureError as error:
            self._failed(claim.job, error)
        except OSError as error:
            self._failed(claim.job, DiskFailed(f"The disk failed: {error.strerror}."))
        return self._claiming(claim_next)

    def _download(self, claim: Claim, claim_next: ClaimNext) -> Claim | None:
        job = claim.job
        if not job.sources:
            raise PictureError("The extension named no picture.")
        with contextlib.ExitStack() as files:
            pictures = [self._fetch(job, url, files) for url in job.sources]
            unused, following = self._store(claim, pictures, claim_next)
        discard(self.ports, unused)
        return following

    def _fetch(self, job: Job, url: str, files: contextlib.ExitStack) -> ValidImage:
        settings = self.ports.settings
        staged = files.enter_context(self.ports.store.stage())
        thumbnails = {each: files.enter_context(self.ports.store.stage()) for each in THUMBNAILS}
        with self.sources.opened(job, url) as source:
            self.ports.scanner.scan(source)  # before any decoder sees it
            limits = ImageLimits(settings.max_image_bytes, settings.max_image_pixels, settings.max_image_side)
            targets = {rendition: each.file for rendition, each in thumbnails.items()}
            picture = self.ports.validator(source, staged.file, limits, targets)
            return ValidImage(url, staged, picture, thumbnails)

    def _store(
        self, claim: Claim, pictures: Sequence[ValidImage], claim_next: ClaimNext
    ) -> tuple[Sequence[UploadLocation], Claim | None]:
        """Returns the uploads that are no longer needed, and the next claim, which the same commit made."""
        try:
            for each, name in zip(pictures, claim.names, strict=True):
                self.ports.store.publish(each.staged, name)
                self._publish_thumbnails(each, name)
        except (PictureError, OSError):
            self._remove(claim.names)
            raise

        def work(tx: Transaction) -> tuple[Sequence[UploadLocation], Claim | None]:
            return self._complete(tx, claim, pictures), claim_next(tx)

        try:
            # any other error removes nothing, since the commit may have succeeded
            return self._claiming(work)
        except ClaimLost:
            self._remove(claim.names)
            return (), self._claiming(claim_next)

    def _publish_thumbnails(self, image: ValidImage, name: str) -> None:
        """Those that were made. A picture is as good without them: they are made when somebody wants to see them."""
        for rendition, staged in image.thumbnails.items():
            try:
                if staged.file.seek(0, 2):
                    self.ports.store.publish(staged, rendition_name(name, rendition))
            except (PictureError, OSError) as error:
                log.warning("A thumbnail was not stored", action="download.no_thumbnail", problem=str(error))

    def _complete(self, tx: Transaction, claim: Claim, pictures: Sequence[ValidImage]) -> Sequence[UploadLocation]:
        """Returns the uploads that are no longer needed after the commit. Raises ClaimLost."""
        job, names = claim.job, claim.names
        if not images.keep_intended(tx, names):
            raise ClaimLost
        completed = steps.take(
            self.ports,
            tx,
            Step.STORE,
            job.id,
            {"lease": job.lease},
            event=ImageGeneratedEvent(tuple(IMAGES_PATH + name for name in names)),
            progress=100,
            finished_at=NOW,
            lease=None,
            **self.lifetimes.columns(tx, job),
            sources=None,  # they may contain the pictures themselves; the URLs are kept in `images`
        )
        if completed is None:
            raise ClaimLost
        if completed.holder is not None:
            fleet.succeeded(tx, completed.holder)  # only a stored picture is an extension's success
        stored = self._rows(pictures, names)
        tx.after_commit(lambda: self.ports.metrics.stored(sum(each.bytes for each in stored)))
        images.add(tx, job.id, stored)
        send(self.ports, tx, completed.holder, confirmation(completed, stored))
        return images.uploads_of(tx.connection, job.id)

    def _rows(self, pictures: Sequence[ValidImage], names: Sequence[str]) -> list[StoredImage]:
        return [
            StoredImage(
                position=position,
                file=name,
                source_url=self.sources.public_url(each.url),
                **asdict(each.picture),
            )
            for position, (each, name) in enumerate(zip(pictures, names, strict=True))
        ]

    def _failed(self, job: Job, error: PictureError) -> None:
        """Retry later, for as long as it may help; then another extension gets the job, while attempts are left."""
        self.ports.metrics.download_failed(error.fault.value)
        log.warning("A download failed", action="download.failed", request_id=job.id, problem=str(error))
        if error.retryable and error.fault is Fault.SERVICE:
            discard(self.ports, self.ports.database.write(lambda tx: self._retry_uncharged(tx, job, error)))
        elif error.retryable and job.download_attempt < self.ports.settings.max_download_attempts:
            self.ports.database.write(lambda tx: self._retry_later(tx, job, error.retry_after_ms or 0))
        else:
            discard(self.ports, self.ports.database.write(lambda tx: self._end_attempt(tx, job, error)))

    def _retry_later(self, tx: Transaction, job: Job, wait_ms: int) -> None:
        pause_ms = max(wait_ms, policy.backoff_ms(job.download_attempt, self.ports.randomness.jitter()))
        expected = {"lease": job.lease}
        steps.take(self.ports, tx, Step.FETCH, job.id, expected, lease=None, due_at=FromNow(pause_ms))

    def _retry_uncharged(self, tx: Transaction, job: Job, error: PictureError) -> Sequence[UploadLocation]:
        """The fault is this service's: the attempt does not count, and the job waits until the fault is repaired.

        It fails if its pictures have waited for QUEUE_TIMEOUT_MS; returns the uploads that are no longer needed then.
        """
        if (job.generated_at or job.updated_at) <= tx.now - self.ports.settings.queue_timeout_ms:
            return self._end_attempt(tx, job, error)
        steps.take(
            self.ports,
            tx,
            Step.FETCH,
            job.id,
            {"lease": job.lease},
            lease=None,
            download_attempt=job.download_attempt - 1,
            due_at=FromNow(OWN_FAULT_PAUSE_MS),
        )
        return ()

    def _end_attempt(self, tx: Transaction, job: Job, error: PictureError) -> Sequence[UploadLocation]:
        """Requeue the job, or fail it after its last attempt; returns the uploads that are no longer needed then.

        None of them is of the next attempt, which cannot begin before the commit.
        """
        if error.fault is Fault.SERVICE:
            moved = self.requeueing.fail(tx, job, DOWNLOAD_FAILED, str(error), {"lease": job.lease})
        else:
            moved = self.requeueing.give_back(tx, job, DOWNLOAD_FAILED, str(error), strike=True)
        if moved is None:  # the lease was lost
            return ()
        if job.holder is not None and self._is_extensions_fault(tx, job, error):
            self.requeueing.cool_down(tx, job.holder, NO_USABLE_PICTURE)
        send_cancel(self.ports, tx, job)
        return images.uploads_of(tx.connection, job.id)

    def _is_extensions_fault(self, tx: Transaction, job: Job, error: PictureError) -> bool:
        """A host that cannot be reached speaks against the extension only if others' pictures were fetched meanwhile."""
        if error.fault is not Fault.HOST:
            return error.fault is Fault.EXTENSION
        return images.any_fetched(tx.connection, job.generated_at or job.updated_at, not_of=job.holder)

    def _remove(self, names: Sequence[str]) -> None:
        """Remove the pictures and thumbnails. Those that cannot be removed now keep their rows, for the next sweep."""
        with contextlib.suppress(PictureError):
            for name in names:
                for each in stored_names(name):
                    self.ports.store.delete(each)
            self.ports.database.write(lambda tx: images.forget_intended(tx, names))
