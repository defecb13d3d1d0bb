"""The pictures of a job come home: fetched, judged and stored, all of them or none.

A download holds its job under a lease of its own. Whatever ends it early, the job is due again once the lease is over,
and whoever lost the lease leaves nothing behind.
"""

from __future__ import annotations

import contextlib
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from app import logs
from app.config import Settings
from app.db import images, jobs
from app.db.engine import Transaction
from app.db.images import StoredImage
from app.db.jobs import Job
from app.db.moving import AtMost
from app.domain import policy
from app.domain.errors import DOWNLOAD_FAILED
from app.domain.events import ImageGeneratedEvent
from app.domain.images import ImageLimits, Picture, PictureError, file_name
from app.domain.states import Step
from app.domain.tokens import UploadPlace
from app.services import steps
from app.services.generation import IMAGES_PATH, confirmation
from app.services.holders import tell, tell_to_stop
from app.services.requeueing import Requeueing
from app.services.sources import Sources
from app.services.tools import Tools
from app.services.uploads import discard

JUDGING_MS = 10_000  # a picture of 40 million pixels takes 2 s to decode and pack where nothing else runs

SCANNING_MS = 20_000  # where there is a scanner: more than it may take

log = logs.get(__name__)


@dataclass(frozen=True, slots=True)
class Made:
    """A picture that is sound, in a file that has no name yet."""

    url: str
    staged: Any
    picture: Picture


def longest_ms(settings: Settings, count: int) -> int:
    """How long the download of `count` pictures may take, in ms."""
    return count * (settings.download_timeout_ms + JUDGING_MS + (SCANNING_MS if settings.clamav_url else 0))


class Download:
    """Carries out downloads."""

    def __init__(self, tools: Tools) -> None:
        self.tools = tools
        self.requeueing = Requeueing(tools)
        self.sources = Sources(tools)

    def run(self, request_id: str) -> None:
        """Fetch and keep the request's pictures, if that is due and nobody else is at it.

        Safe at any time, any number of times and in parallel. Raises Unavailable where the database cannot be reached;
        the job is then due again by itself.
        """
        claimed = self.tools.database.write(lambda tx: self._claim(tx, request_id))
        if claimed is None:
            return
        job, names = claimed
        tries = self.tools.settings.max_download_attempts
        if job.download_attempt > tries:  # nobody lived to say what went wrong
            self._fail(job, f"The download was begun {tries} times and never came to an end.")
            return
        try:
            left = self._carry_out(job, names)
        except (PictureError, OSError) as error:
            self._failed(job, error)
        else:
            discard(self.tools, left)

    def _claim(self, tx: Transaction, request_id: str) -> tuple[Job, list[str]] | None:
        """Take the download; with it come the names that its files will have, which are written down before any is made."""
        job = jobs.find(tx.connection, request_id)
        if job is None:
            return None
        count = len(job.sources or ())
        claimed = steps.take(
            self.tools,
            tx,
            Step.FETCH,
            job.id,
            {"due_at": AtMost(tx.now), "download_attempt": job.download_attempt},
            lease=self.tools.chance.token(),
            download_attempt=job.download_attempt + 1,
            due_at=tx.now + longest_ms(self.tools.settings, count),
        )
        if claimed is None:
            return None
        names = [file_name(job.id, tx.now + position) for position in range(count)]
        if names:
            images.intend(tx, job.id, names)
        return claimed, names

    def _carry_out(self, job: Job, names: Sequence[str]) -> Sequence[UploadPlace]:
        """Returns the uploads that are of no use any more."""
        if not job.sources:
            raise PictureError("The extension named no picture.")
        with contextlib.ExitStack() as files:
            made = [self._make(job, url, files) for url in job.sources]
            return self._keep(job, made, names)

    def _make(self, job: Job, url: str, files: contextlib.ExitStack) -> Made:
        settings = self.tools.settings
        staged = files.enter_context(self.tools.store.stage())
        with self.sources.opened(job, url) as source:
            self.tools.scanner.scan(source)  # before any decoder sees it
            limits = ImageLimits(settings.max_image_bytes, settings.max_image_pixels)
            return Made(url, staged, self.tools.studio(source, staged.file, limits))

    def _keep(self, job: Job, made: Sequence[Made], names: Sequence[str]) -> Sequence[UploadPlace]:
        try:
            for each, name in zip(made, names, strict=True):
                self.tools.store.publish(each.staged, name)
        except (PictureError, OSError):
            self._remove(names)
            raise
        # What is raised here removes nothing: nobody knows then whether the commit was made.
        left = self.tools.database.write(lambda tx: self._complete(tx, job, made, names))
        if left is None:
            self._remove(names)
            return ()
        return left

    def _complete(
        self, tx: Transaction, job: Job, made: Sequence[Made], names: Sequence[str]
    ) -> Sequence[UploadPlace] | None:
        if not images.hold_intended(tx, names):
            return None
        completed = steps.take(
            self.tools,
            tx,
            Step.STORE,
            job.id,
            {"lease": job.lease},
            event=ImageGeneratedEvent(tuple(IMAGES_PATH + name for name in names)),
            progress=100,
            finished_at=tx.now,
            lease=None,
        )
        if completed is None:
            return None
        stored = self._rows(made, names)
        images.add(tx, job.id, stored)
        tell(self.tools, tx, completed.holder, confirmation(completed, stored))
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
        if retryable and job.download_attempt < self.tools.settings.max_download_attempts:
            self.tools.database.write(lambda tx: self._put_off(tx, job, wait_ms or 0))
        else:
            self._fail(job, sentence)

    def _put_off(self, tx: Transaction, job: Job, wait_ms: int) -> None:
        pause_ms = max(wait_ms, policy.backoff_ms(job.download_attempt, self.tools.chance.jitter()))
        mine = {"lease": job.lease}
        steps.take(self.tools, tx, Step.FETCH, job.id, mine, lease=None, due_at=tx.now + pause_ms)

    def _fail(self, job: Job, sentence: str) -> None:
        def work(tx: Transaction) -> bool:
            mine = {"lease": job.lease}
            if self.requeueing.fail(tx, job, DOWNLOAD_FAILED, sentence, mine) is None:
                return False
            tell_to_stop(self.tools, tx, job)
            return True

        if self.tools.database.write(work):
            discard(self.tools, self.tools.database.read(lambda c: images.uploads_of(c, job.id)))

    def _remove(self, names: Sequence[str]) -> None:
        """What cannot be removed now stays written down for the next sweep."""
        with contextlib.suppress(PictureError):
            for name in names:
                self.tools.store.delete(name)
            self.tools.database.write(lambda tx: images.forget_intended(tx, names))
