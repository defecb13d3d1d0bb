"""Handles the server's messages: queues jobs, runs them, and keeps the results until they are confirmed."""

from __future__ import annotations

import queue
import threading
from collections.abc import Callable, Iterable

from imagefleet.errors import BadAnswer
from imagefleet.extension import messages
from imagefleet.extension.jobs import Job, Jobs, Message, Stopped
from imagefleet.extension.messages import CancelGeneration, Confirmed, ErrorReport, GenerateImage
from imagefleet.extension.renderer import Draw, Renderer
from imagefleet.transport import Transport

FAILED = "image_generation_failed"
LEASE_LOST = "ERR_LEASE_LOST"
NOT_UNDERSTOOD = "ERR_INVALID_MESSAGE"
HEARTBEAT_RESPONSE = "heartbeat_response"
Log = Callable[[str], None]


class JobRunner:
    """Runs up to `workers` jobs at once. `send` returns False if a message was not sent; `log` gets a line per event."""

    def __init__(
        self,
        transport: Transport,
        draw: Draw,
        send: Callable[[Message], bool],
        log: Log,
        step_s: float,
        operations: tuple[str, ...] = (),
    ) -> None:
        self._send = send
        self._log = log
        self._renderer = Renderer(draw, transport, send, step_s, operations)
        self._jobs = Jobs()
        self._waiting: queue.SimpleQueue[Job | None] = queue.SimpleQueue()
        self._workers = 0

    def start(self, workers: int) -> None:
        """Start the worker threads."""
        self._workers = workers
        for number in range(workers):
            threading.Thread(target=self._work, name=f"job-runner-{number}", daemon=True).start()

    def stop(self) -> None:
        """Stop the work; only results that the server has not confirmed are kept."""
        self._jobs.retain([job.request_id for job in self._jobs.reported()])
        for _ in range(self._workers):
            self._waiting.put(None)

    def ids(self) -> list[str]:
        """The IDs of the requests that are unfinished or have an unconfirmed result."""
        return self._jobs.ids()

    def load(self) -> tuple[int, int]:
        """The number of active jobs and of waiting jobs."""
        unfinished = self._jobs.unfinished()
        active = min(unfinished, self._workers)
        return active, unfinished - active

    def retain(self, request_ids: Iterable[str]) -> None:
        """Drop all jobs but these, which the server still assigns to this extension."""
        for request_id in self._jobs.retain(request_ids):
            self._log(f"job {request_id} was dropped: the server no longer assigns it to this extension")

    def deliver(self) -> None:
        """Send all unconfirmed results again, after a reconnect."""
        for job in self._jobs.reported():
            self._send_report(job)

    def handle(self, text: str) -> None:
        """Process one message; an invalid one is logged and ignored."""
        try:
            message = messages.read(text)
        except BadAnswer as error:
            self._log(f"ignored: {error}")
            return
        match message:
            case GenerateImage():
                self._generate(Job.of(message))
            case CancelGeneration(request_id=request_id):
                if self._jobs.drop(request_id):
                    self._log(f"job {request_id} was cancelled")
            case Confirmed(request_id=request_id):
                self._jobs.drop(request_id)
                self._log(f"job {request_id} is stored as {message.image_path}")
            case ErrorReport():
                self._error(message)
            case _ if message.type != HEARTBEAT_RESPONSE:
                self._log(f"ignored a message of the unknown type {message.type!r:.70}")

    def _generate(self, job: Job) -> None:
        known = self._jobs.add(job)
        if known is None:
            self._log(f"job {job.request_id}: {job.prompt!r:.70}")
            self._waiting.put(job)
        else:
            self._send_report(known)

    def _error(self, report: ErrorReport) -> None:
        """An error. Drop the job if its lease is lost, or if its result was invalid, which a retry cannot change."""
        self._log(f"the server reported an error: {report.error}")
        is_result = report.request_id in [job.request_id for job in self._jobs.reported()]
        if report.request_id and (report.code == LEASE_LOST or (report.code == NOT_UNDERSTOOD and is_result)):
            self._jobs.drop(report.request_id)

    def _work(self) -> None:
        while (job := self._waiting.get()) is not None:
            if not job.stopped.is_set():
                self._finish(job)

    def _finish(self, job: Job) -> None:
        """Run the job and send its result now, or after a reconnect."""
        try:
            report = self._renderer.render(job)
        except Stopped:
            return
        except Exception as error:  # noqa: BLE001 - one bad job must not stop the worker thread
            report = job.failure("The extension failed", f"{type(error).__name__}: {error}", retryable=True)
        if self._jobs.report(job, report):
            self._log(f"job {job.request_id}: {report.get('reason', 'done')}")
            self._send_report(job)

    def _send_report(self, job: Job) -> None:
        """Send the result, if there is one. Failures are never confirmed, so a sent failure is dropped."""
        if job.report is not None and self._send(job.report) and job.report["type"] == FAILED:
            self._jobs.drop(job.request_id)
