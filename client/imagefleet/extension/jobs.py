"""The jobs of an extension: unfinished, or with a result that the server has not confirmed."""

from __future__ import annotations

import threading
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

from imagefleet.extension.messages import GenerateImage, InputImage, Upload

# The contract allows a server that confirms nothing; its results must not fill the memory.
MAX_HELD = 64
Message = dict[str, Any]


class BadInput(Exception):
    """An input picture cannot be used; the text names it and the reason. `retryable`: another attempt may succeed."""

    def __init__(self, text: str, *, retryable: bool) -> None:
        super().__init__(text)
        self.retryable = retryable


class Stopped(Exception):
    """The job was cancelled or replaced."""


@dataclass(eq=False)
class Job:
    """One request from a `generate_image` message. `report` is its result, once there is one."""

    request_id: str
    prompt: str
    model: str | None
    parameters: Mapping[str, Any]
    correlation_id: str | None
    lease: str | None
    upload: Upload | None
    inputs: tuple[InputImage, ...] = ()
    previews: int = 0  # how many of each picture the server wants
    stopped: threading.Event = field(default_factory=threading.Event)
    report: Message | None = None

    @classmethod
    def of(cls, message: GenerateImage) -> Job:
        """The job of this message."""
        return cls(
            request_id=message.request_id,
            prompt=message.prompt,
            model=message.model,
            parameters=message.parameters or {},
            correlation_id=message.correlation_id,
            lease=message.lease,
            upload=message.upload,
            inputs=message.input_images,
            previews=message.previews or 0,
        )

    def message(self, kind: str, **fields: Any) -> Message:
        """A report on this job."""
        named = {"correlationId": self.correlation_id, "lease": self.lease}
        return {"type": kind, "requestId": self.request_id, **_without_none(named), **fields}

    def failure(self, error: str, reason: str, *, retryable: bool, **more: Any) -> Message:
        """The report that the job failed."""
        fields = {"error": error, "reason": reason, "code": "ERR_GENERATION_FAILED", "retryable": retryable}
        return self.message("image_generation_failed", **fields, **more)


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
