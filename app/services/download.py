"""The pictures of a job come home: fetched, judged and stored, all of them or none.

A download holds its job under a lease of its own. Whatever ends it early, the job is due again once the lease is over,
and whoever lost the lease leaves nothing behind.
"""

from __future__ import annotations

import contextlib
import math
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

from app import logs
from app.config import Settings
from app.db import images, jobs
from app.db.compare_and_set import NOW, FromNow
from app.db.engine import Transaction
from app.db.images import StoredImage
from app.db.jobs import Job
from app.domain import policy
from app.domain.errors import DOWNLOAD_FAILED
from app.domain.events import ImageGeneratedEvent
from app.domain.images import ImageLimits, Picture, PictureError, file_name
from app.domain.states import Step
from app.domain.upload_urls import UploadLocation
from app.services import steps
from app.services.extension_messages import send, send_cancel
from app.services.generation import IMAGES_PATH, confirmation
from app.services.ports import Ports
from app.services.requeueing import Requeueing
from app.services.sources import Sources
from app.services.uploads import discard

VALIDATION_MS = 10_000  # a picture of 40 million pixels takes 2 s to decode and pack where nothing else runs

SCANNING_MS = 20_000  # where there is a scanner: more than it may take

TURN_S = 1.0  # then whoever told the worker to end is heard, and others have their turn

log = logs.get(__name__)


@dataclass(frozen=True, slots=True)
class Claim:
    """A download that is ours, and the `names` that its files will have, which are written down before any is made."""

    job: Job
    names: Sequence[str]
    more_are_due: bool


ClaimNext = Callable[[Transaction], Claim | None]


class NotOurs(Exception):
    """The download, or one of its files, was taken from us: nothing of it is to be kept."""


@dataclass(frozen=True, slots=True)
class Made:
    """A picture that is sound, in a file that has no name yet."""

    url: str
    staged: Any
    picture: Picture


def longest_ms(settings: Settings, count: int) -> int:
    """How long the download of `count` pictures may take, in ms."""
    return count * (settings.download_timeout_ms + VALIDATION_MS + (SCANNING_MS if settings.clamav_url else 0))


class Download:
    """Carries out downloads."""

    def __init__(self, ports: Ports) -> None:
        self.ports = ports
        self.requeueing = Requeueing(ports)
        self.sources = Sources(ports)

    def run(self) -> None:
        """Fetch and keep the pictures of whatever is due and nobody else is at, one request after the other.

        Safe at any time, any number of times and in parallel. Where more is due than one, somebody else is woken, who does
        the same. After `TURN_S` (s) it ends. Raises Unavailable where the database cannot be reached; the job is then due
        again by itself.
        """
        ends, others_woken = time.monotonic() + TURN_S, False
        claim = self.ports.database.write(self._claim)
        while claim is not None:
            if claim.more_are_due and not others_woken:
                self.ports.tasks.download()
                others_woken = True
            with logs.correlated(claim.job.correlation_id):
                claim = self._bring_home(claim, partial(self._claim, before_s=ends))
        if time.monotonic() >= ends:
            self.ports.tasks.download()

    def _claim(self, tx: Transaction, before_s: float = math.inf) -> Claim | None:
        """Take the first download that is due; None where none is, and by our clock (s) after `before_s`."""
        due = jobs.next_download(tx) if time.monotonic() < before_s else None
        if due is None:
            return None
        job, more_are_due = due
        count = len(job.sources or ())
        claimed = steps.take(
            self.ports,
            tx,
            Step.FETCH,
            job.id,
            {
                "due_at": job.due_at,
                "download_attempt": job.download_attempt,
            },  # as it was found, whatever the clock says
            lease=self.ports.randomness.token(),
            download_attempt=job.download_attempt + 1,
            due_at=FromNow(longest_ms(self.ports.settings, count)),
        )
        if claimed is None:
            return None
        names = [file_name(job.id, claimed.updated_at + position) for position in range(count)]
        if names:
            images.intend(tx, job.id, names)
        return Claim(claimed, names, more_are_due)

    def _bring_home(self, claim: Claim, claim_next: ClaimNext) -> Claim | None:
        """Returns what is to be brought home next."""
        tries = self.ports.settings.max_download_attempts
        try:
            if claim.job.download_attempt > tries:  # nobody lived to say what went wrong
                raise PictureError(f"The download was begun {tries} times and never came to an end.")
            return self._carry_out(claim, claim_next)
        except (PictureError, OSError) as error:
            self._failed(claim.job, error)
        return self.ports.database.write(claim_next)

    def _carry_out(self, claim: Claim, claim_next: ClaimNext) -> Claim | None:
        job = claim.job
        if not job.sources:
            raise PictureError("The extension named no picture.")
        with contextlib.ExitStack() as files:
            made = [self._make(job, url, files) for url in job.sources]
            left, after = self._keep(claim, made, claim_next)
        discard(self.ports, left)
        return after

    def _make(self, job: Job, url: str, files: contextlib.ExitStack) -> Made:
        settings = self.ports.settings
        staged = files.enter_context(self.ports.store.stage())
        with self.sources.opened(job, url) as source:
            self.ports.scanner.scan(source)  # before any decoder sees it
            limits = ImageLimits(settings.max_image_bytes, settings.max_image_pixels)
            return Made(url, staged, self.ports.validator(source, staged.file, limits))

    def _keep(
        self, claim: Claim, made: Sequence[Made], claim_next: ClaimNext
    ) -> tuple[Sequence[UploadLocation], Claim | None]:
        """Returns the uploads that are of no use any more, and what was claimed next, by the same commit."""
        try:
            for each, name in zip(made, claim.names, strict=True):
                self.ports.store.publish(each.staged, name)
        except (PictureError, OSError):
            self._remove(claim.names)
            raise

        def work(tx: Transaction) -> tuple[Sequence[UploadLocation], Claim | None]:
            return self._complete(tx, claim.job, made, claim.names), claim_next(tx)

        try:
            # Whatever else is raised here removes nothing: nobody knows then whether the commit was made.
            left, after = self.ports.database.write(work)
        except NotOurs:
            self._remove(claim.names)
            return (), self.ports.database.write(claim_next)
        return left, after

    def _complete(
        self, tx: Transaction, job: Job, made: Sequence[Made], names: Sequence[str]
    ) -> Sequence[UploadLocation]:
        """Returns the uploads that are of no use any more after the commit. Raises NotOurs."""
        if not images.keep_intended(tx, names):
            raise NotOurs
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
            sources=None,  # they may be the pictures themselves; of those that are addresses, `images` has each
        )
        if completed is None:
            raise NotOurs
        stored = self._rows(made, names)
        images.add(tx, job.id, stored)
        send(self.ports, tx, completed.holder, confirmation(completed, stored))
        return images.uploads_of(tx.connection, job.id)

    def _rows(self, made: Sequence[Made], names: Sequence[str]) -> list[StoredImage]:
        return [
            StoredImage(
                position=position,
                file=name,
                source_url=self.sources.public_url(each.url),
                width=each.picture.width,
                height=each.picture.height,
                bytes=each.picture.bytes,
                sha256=each.picture.sha256,
            )
            for position, (each, name) in enumerate(zip(made, names, strict=True))
        ]

    def _failed(self, job: Job, error: PictureError | OSError) -> None:
        sentence = str(error) if isinstance(error, PictureError) else f"The disk failed: {error.strerror}."
        retryable = error.retryable if isinstance(error, PictureError) else True
        wait_ms = error.retry_after_ms if isinstance(error, PictureError) else None
        log.warning("A download failed", action="download.failed", request_id=job.id, problem=sentence)
        if retryable and job.download_attempt < self.ports.settings.max_download_attempts:
            self.ports.database.write(lambda tx: self._put_off(tx, job, wait_ms or 0))
        else:
            self._fail(job, sentence)

    def _put_off(self, tx: Transaction, job: Job, wait_ms: int) -> None:
        pause_ms = max(wait_ms, policy.backoff_ms(job.download_attempt, self.ports.randomness.jitter()))
        mine = {"lease": job.lease}
        steps.take(self.ports, tx, Step.FETCH, job.id, mine, lease=None, due_at=FromNow(pause_ms))

    def _fail(self, job: Job, sentence: str) -> None:
        def work(tx: Transaction) -> bool:
            mine = {"lease": job.lease}
            if self.requeueing.fail(tx, job, DOWNLOAD_FAILED, sentence, mine) is None:
                return False
            send_cancel(self.ports, tx, job)
            return True

        if self.ports.database.write(work):
            discard(self.ports, self.ports.database.read(lambda c: images.uploads_of(c, job.id)))

    def _remove(self, names: Sequence[str]) -> None:
        """What cannot be removed now stays written down for the next sweep."""
        with contextlib.suppress(PictureError):
            for name in names:
                self.ports.store.delete(name)
            self.ports.database.write(lambda tx: images.forget_intended(tx, names))
