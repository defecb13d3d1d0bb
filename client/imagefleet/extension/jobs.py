"""The jobs of an extension: unfinished, or with a result that the server has not confirmed."""

from __future__ import annotations

import re
import threading
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

from imagefleet.extension.picture_files import MAX_SIDE_PX
from imagefleet.errors import BadAnswer
from imagefleet.extension.input_images import InputImage, read_all
from imagefleet.wire import Fields, camel

DEFAULT_SIDE_PX = 1024
MAX_IMAGES = 10
# The contract allows a server that confirms nothing; its results must not fill the memory.
MAX_HELD = 64
Message = dict[str, Any]


class BadJob(Exception):
    """The job cannot be done by this extension; the text gives the reason."""


class BadInput(Exception):
    """An input picture cannot be used; the text names it and the reason. `retryable`: another attempt may succeed."""

    def __init__(self, text: str, *, retryable: bool) -> None:
        super().__init__(text)
        self.retryable = retryable


class Stopped(Exception):
    """The job was cancelled or replaced."""


@dataclass(frozen=True, slots=True)
class Upload:
    """Where to upload the pictures. Sizes in bytes."""

    url: str
    headers: Mapping[str, str]
    max_bytes: int | None

    @classmethod
    def read(cls, fields: Fields | None) -> Upload | None:
        """From the `upload` of a message, if there is one."""
        if fields is None:
            return None
        headers = fields.part("headers")
        named = {} if headers is None else {name: str(value) for name, value in headers.body.items()}
        return cls(fields.text("url"), named, fields.whole("max_bytes"))


@dataclass(eq=False)
class Job:
    """One request from a `generate_image` message. `report` is its result, once there is one."""

    request_id: str
    prompt: str
    model: str | None
    parameters: dict[str, Any]
    correlation_id: str | None
    lease: str | None
    upload: Upload | None
    inputs: tuple[InputImage, ...] = ()
    previews: int = 0  # how many of each picture the server wants
    stopped: threading.Event = field(default_factory=threading.Event)
    report: Message | None = None

    @classmethod
    def read(cls, fields: Fields) -> Job:
        """From the message. Raises BadAnswer."""
        parameters = fields.part("parameters")
        return cls(
            request_id=fields.text("request_id"),
            prompt=fields.text("prompt"),
            model=fields.optional_text("model"),
            parameters={} if parameters is None else dict(parameters.body),
            correlation_id=fields.optional_text("correlation_id"),
            lease=fields.optional_text("lease"),
            upload=Upload.read(fields.part("upload")),
            inputs=read_all(fields),
            previews=fields.whole("previews") or 0,
        )

    @property
    def names_size(self) -> bool:
        """Whether the request says how large the picture is to be."""
        return any(self.parameters.get(name) is not None for name in ("width", "height"))

    @property
    def size(self) -> tuple[int, int]:
        """Width and height in px. Raises BadJob."""
        return self._whole("width", DEFAULT_SIDE_PX, MAX_SIDE_PX), self._whole("height", DEFAULT_SIDE_PX, MAX_SIDE_PX)

    @property
    def count(self) -> int:
        """The number of pictures requested. Raises BadJob."""
        return self._whole("number_of_images", 1, MAX_IMAGES)

    @property
    def seed(self) -> int | None:
        """The requested seed; the server sends one beyond 2^53 as text. Raises BadJob."""
        value = self.parameters.get("seed")
        if value is None:
            return None
        if isinstance(value, float) and value.is_integer():
            value = int(value)
        if isinstance(value, bool) or not re.fullmatch(r"-?[0-9]{1,40}", str(value)):
            raise BadJob("seed must be a whole number.")
        return int(value)

    def message(self, kind: str, **fields: Any) -> Message:
        """A report on this job."""
        named = {"correlationId": self.correlation_id, "lease": self.lease}
        return {"type": kind, "requestId": self.request_id, **_without_none(named), **fields}

    def failure(self, error: str, reason: str, *, retryable: bool, **more: Any) -> Message:
        """The report that the job failed."""
        fields = {"error": error, "reason": reason, "code": "ERR_GENERATION_FAILED", "retryable": retryable}
        return self.message("image_generation_failed", **fields, **more)

    def _whole(self, name: str, default: int, most: int) -> int:
        """An integer parameter from 1 to `most`. Raises BadJob."""
        try:
            value = Fields(self.parameters, "parameters").whole(name)
        except BadAnswer:
            value = 0
        if value is None:
            return default
        if not 1 <= value <= most:
            raise BadJob(f"{camel(name)} must be a whole number from 1 to {most}.")
        return value


class Jobs:
    """The jobs by request ID. Thread-safe."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._jobs: dict[str, Job] = {}

    def ids(self) -> list[str]:
        """The request IDs, oldest first."""
        with self._lock:
            return list(self._jobs)

    def unfinished(self) -> int:
        """The number of jobs without a result."""
        with self._lock:
            return sum(job.report is None for job in self._jobs.values())

    def reported(self) -> list[Job]:
        """The jobs with a result."""
        with self._lock:
            return [job for job in self._jobs.values() if job.report is not None]

    def add(self, job: Job) -> Job | None:
        """Add a job, replacing one with another lease. Returns the existing job if the lease is the same."""
        with self._lock:
            known = self._jobs.get(job.request_id)
            if known is not None and known.lease == job.lease:
                return known
            if known is not None:
                known.stopped.set()
            self._jobs[job.request_id] = job
            return None

    def report(self, job: Job, message: Message) -> bool:
        """Store a result. False if the job was dropped."""
        with self._lock:
            if self._jobs.get(job.request_id) is not job:
                return False
            job.report = message
            for old in [each for each in self._jobs.values() if each.report is not None][:-MAX_HELD]:
                del self._jobs[old.request_id]
            return True

    def drop(self, request_id: str) -> Job | None:
        """Remove a job and stop the work on it. Returns it, if it existed."""
        with self._lock:
            job = self._jobs.pop(request_id, None)
            if job is not None:
                job.stopped.set()
            return job

    def retain(self, request_ids: Iterable[str]) -> list[str]:
        """Drop all jobs but these. Returns the IDs of the dropped ones."""
        wanted = set(request_ids)
        dropped = [request_id for request_id in self.ids() if request_id not in wanted]
        for request_id in dropped:
            self.drop(request_id)
        return dropped


def _without_none(fields: Mapping[str, Any]) -> Message:
    return {name: value for name, value in fields.items() if value is not None}
