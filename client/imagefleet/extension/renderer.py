"""Runs one job: draws its pictures, sends progress, uploads them, and builds the report."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any

from PIL import Image

from imagefleet.extension.drawing import Picture, ReportProgress
from imagefleet.extension.inputs import fetch
from imagefleet.extension.jobs import BadInput, Job, Message, Stopped
from imagefleet.extension.messages import EDIT, operation_of, timestamp
from imagefleet.extension.parameters import BadJob, Parameters
from imagefleet.extension.picture_files import UnreadablePicture
from imagefleet.extension.previews import Previews
from imagefleet.extension.uploading import deliver
from imagefleet.extension.variation import Inputs
from imagefleet.models.base import encoded
from imagefleet.transport import Transport

Draw = Callable[[Picture, ReportProgress], bytes]
DEFAULT_SIDE_PX = 1024
STEPS = 8
MAX_MESSAGE_BYTES = 1_048_576
MAX_EXACT = 2**53


class Renderer:
    """Draws with `draw`; `send` gets each progress message; pauses `step_s` seconds after each.

    `operations` are what `draw` can do with input pictures.
    """

    def __init__(
        self,
        draw: Draw,
        transport: Transport,
        send: Callable[[Message], object],
        step_s: float,
        operations: tuple[str, ...] = (),
    ) -> None:
        self._draw = draw
        self._transport = transport
        self._send = send
        self._step_s = step_s
        self._operations = operations

    def render(self, job: Job) -> Message:
        """The report on the job, success or failure. Raises Stopped if the job was cancelled."""
        operation = operation_of(job.inputs)
        if operation is not None and operation not in self._operations:
            return _not_possible(job, operation)
        try:
            return self._render(job)
        except BadJob as error:
            return job.failure("This extension cannot draw that", str(error), retryable=False)
        except BadInput as error:
            return job.failure("An input picture cannot be used", str(error), retryable=error.retryable)
        except UnreadablePicture as error:
            text = f"An input picture cannot be read: {error}."
            return job.failure("An input picture cannot be used", text, retryable=False)
        except MemoryError:
            return job.failure("The extension has too little memory", "The picture is too large.", retryable=True)

    def _render(self, job: Job) -> Message:
        wanted = Parameters.read(job.parameters)
        inputs = fetch(self._transport, job)
        width, height = _size(wanted, inputs)
        count, seed = wanted.number_of_images or 1, wanted.seed
        urls = []
        for index in range(count):
            steps = _Steps(self, job, index, count)
            content = self._draw(Picture(job.prompt, width, height, index, seed, inputs), steps.report)
            urls.append(deliver(self._transport, job.upload, index, content))
            self.step(job, 100 * (index + 1) // count - 1, f"Picture {index + 1} of {count} is drawn")
        used = {"width": width, "height": height, **({} if seed is None else {"seed": _on_the_wire(seed)})}
        return _generated(job, urls, used)

    def step(self, job: Job, percent: int, text: str, **more: Any) -> None:
        """Send the progress, and pause. Raises Stopped."""
        if not job.stopped.is_set():
            self._send(job.message("image_generation_progress", progress=percent, status=text, **more))
        if job.stopped.wait(self._step_s):
            raise Stopped


class _Steps:
    """Turns the share of one picture that is drawn into a few messages about the whole job."""

    def __init__(self, renderer: Renderer, job: Job, index: int, count: int) -> None:
        self._renderer, self._job, self._index, self._count = renderer, job, index, count
        self._next = 0
        self._previews = Previews(job.previews, index)

    def report(self, share: float, image: Image.Image | None = None, /) -> None:
        """Called with the share drawn so far, 0 to 1, and what there is of the picture. Raises Stopped."""
        if self._job.stopped.is_set():
            raise Stopped
        if share * STEPS >= self._next * self._count:
            self._next += 1
            percent = int(100 * (self._index + share) / self._count)
            preview = self._previews.of(share, image)
            more = {} if preview is None else {"preview": preview}
            self._renderer.step(self._job, percent, f"Drawing picture {self._index + 1} of {self._count}", **more)


def _size(wanted: Parameters, inputs: Inputs | None) -> tuple[int, int]:
    """A request that names no size gets that of its first input picture."""
    if inputs and wanted.width is None and wanted.height is None:
        return inputs.size
    return wanted.width or DEFAULT_SIDE_PX, wanted.height or DEFAULT_SIDE_PX


def _not_possible(job: Job, operation: str) -> Message:
    """Another extension may be able to; the server pauses nothing."""
    work = "edits with a mask" if operation == EDIT else "variations"
    text = f"This extension cannot make {work}."
    return job.failure("No generator for input pictures", text, retryable=True, retryAfterMs=0)


def _on_the_wire(number: int) -> int | str:
    """Beyond 2^53 as text, since other programs read numbers of JSON as floating-point numbers."""
    return number if abs(number) <= MAX_EXACT else str(number)


def _generated(job: Job, urls: list[str], used: dict[str, Any]) -> Message:
    metadata = {"model": job.model, "prompt": job.prompt, **used, "generatedAt": timestamp(datetime.now(UTC))}
    more = {"imageUrls": urls} if len(urls) > 1 else {}
    report = job.message("image_generated", imageUrl=urls[0], **more, metadata=metadata)
    if len(encoded(report)) > MAX_MESSAGE_BYTES:
        text = "The pictures are too large for a message, and the upload did not accept them."
        return job.failure("The extension cannot deliver its pictures", text, retryable=True)
    return report
