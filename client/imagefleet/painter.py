"""Doing one job: draw its pictures, tell how far it is, hand them over, and say where they are."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any

from imagefleet.drawing import Picture, Watch
from imagefleet.handover import hand_over
from imagefleet.jobs import BadJob, Job, Message, Stopped
from imagefleet.transport import Transport
from imagefleet.wire import encode, timestamp

Draw = Callable[[Picture, Watch], bytes]
STEPS = 8
MAX_MESSAGE_BYTES = 1_048_576


class Painter:
    """Draws with `draw`; `tell` takes each message about progress; `step_s` seconds are paused after each."""

    def __init__(self, draw: Draw, transport: Transport, tell: Callable[[Message], object], step_s: float) -> None:
        self._draw = draw
        self._transport = transport
        self._tell = tell
        self._step_s = step_s

    def paint(self, job: Job) -> Message:
        """The report on the job, good or bad. Raises Stopped where it is no longer wanted."""
        try:
            return self._paint(job)
        except BadJob as error:
            return job.failure("This extension cannot draw that", str(error), retryable=False)
        except MemoryError:
            return job.failure("The extension has too little memory", "The picture is too large.", retryable=True)

    def _paint(self, job: Job) -> Message:
        (width, height), count = job.size, job.count
        urls = []
        for index in range(count):
            steps = _Steps(self, job, index, count)
            content = self._draw(Picture(job.prompt, width, height, index), steps.watch)
            urls.append(hand_over(self._transport, job.upload, index, content))
            self.step(job, 100 * (index + 1) // count - 1, f"Picture {index + 1} of {count} is drawn")
        return _generated(job, urls, {"width": width, "height": height})

    def step(self, job: Job, percent: int, words: str) -> None:
        """Tell how far it is, and pause. Raises Stopped."""
        if not job.stopped.is_set():
            self._tell(job.message("image_generation_progress", progress=percent, status=words))
        if job.stopped.wait(self._step_s):
            raise Stopped


class _Steps:
    """Turns the share of one picture that is drawn into a few messages about the whole job."""

    def __init__(self, painter: Painter, job: Job, index: int, count: int) -> None:
        self._painter, self._job, self._index, self._count = painter, job, index, count
        self._next = 0

    def watch(self, share: float) -> None:
        """Hears of the share, 0 to 1. Raises Stopped."""
        if self._job.stopped.is_set():
            raise Stopped
        if share * STEPS >= self._next * self._count:
            self._next += 1
            percent = int(100 * (self._index + share) / self._count)
            self._painter.step(self._job, percent, f"Drawing picture {self._index + 1} of {self._count}")


def _generated(job: Job, urls: list[str], size: dict[str, Any]) -> Message:
    made = {"model": job.model, "prompt": job.prompt, **size, "generatedAt": timestamp(datetime.now(UTC))}
    more = {"imageUrls": urls} if len(urls) > 1 else {}
    report = job.message("image_generated", imageUrl=urls[0], **more, metadata=made)
    if len(encode(report)) > MAX_MESSAGE_BYTES:
        words = "The pictures are too large for a message, and the upload did not take them."
        return job.failure("The extension cannot hand its pictures over", words, retryable=True)
    return report
