"""Reports of extensions about the jobs they hold. A report from an extension that lost its lease is rejected."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

from app.db import images, jobs, leases
from app.db.compare_and_set import NOW, AtLeast, FromNowCapped
from app.db.engine import Transaction
from app.db.images import StoredImage
from app.db.jobs import Job
from app.domain import messages
from app.domain.clock import wire_time
from app.domain.errors import GENERATION_FAILED, LeaseLost
from app.domain.events import ImageDownloadStartedEvent
from app.domain.failures import Cause, diagnose
from app.domain.messages import Message, Report, UnusableReport
from app.domain.states import Status, Step
from app.services import steps
from app.services.ports import Ports
from app.services.requeueing import Requeueing
from app.services.sources import first_host
from app.services.wakeups import wake_if_a_job_waits

IMAGES_PATH = "/generated-images/"
ATTEMPT_FAILED = "Its last attempt failed"
SITE_LIMITED = "The site that it uses limits its requests"
UNUSABLE_REPORT = f"It sent a report that cannot be used ({GENERATION_FAILED})."


@dataclass(frozen=True, slots=True)
class Holder:
    """The sender of a report: the extension and its connection."""

    extension_id: str
    connection_id: str


class Generation:
    def __init__(self, ports: Ports, requeueing: Requeueing) -> None:
        self.ports = ports
        self.requeueing = requeueing

    def report(self, holder: Holder, report: Report) -> Message | None:
        """Process one report; returns the answer to the extension, if any. Raises LeaseLost."""
        if isinstance(report, messages.ImageGenerated):
            return self.generated(holder, report)
        if isinstance(report, messages.ImageGenerationFailed):
            self.failed(holder, report)
        else:
            self.progressed(holder, report)
        return None

    def generated(self, holder: Holder, report: messages.ImageGenerated) -> Message | None:
        """Start the download of the pictures. A result that is already stored is confirmed again. Raises LeaseLost."""

        def work(tx: Transaction) -> Message | None:
            moved = steps.take(
                self.ports,
                tx,
                Step.GENERATED,
                report.request_id,
                _held(holder, report),
                event=lambda job: ImageDownloadStartedEvent(holder.extension_id, job.attempt, len(report.sources)),
                was_held_by=holder.extension_id,
                sources=list(report.sources),
                source_host=first_host(report.sources),
                source_metadata=report.metadata,
                generated_at=NOW,
                due_at=NOW,
                lease=None,
                lease_until=None,
                attempt_until=None,
            )
            if moved is None:
                return self._late_result(tx, holder, _found(tx, report))
            tx.after_commit(self.ports.tasks.download)
            tx.after_commit(partial(wake_if_a_job_waits, self.ports))
            return None

        return self.ports.database.write(work)

    def failed(self, holder: Holder, report: messages.ImageGenerationFailed) -> None:
        """Return the job to the queue, or fail it, depending on the cause of the failure. Raises LeaseLost."""

        def work(tx: Transaction) -> None:
            job = _found(tx, report)
            diagnosis = diagnose(report)
            error, reason = report.error, report.reason
            if diagnosis.retry:
                text = f"{error}: {reason}" if reason else error
                moved = self.requeueing.give_back(tx, job, diagnosis.code, text, _held(holder, report), strike=True)
            else:
                moved = self.requeueing.fail(tx, job, diagnosis.code, error, _held(holder, report), reason=reason)
            if moved is None:
                raise LeaseLost
            if diagnosis.cause is not Cause.JOB:
                cause = SITE_LIMITED if diagnosis.cause is Cause.SITE else ATTEMPT_FAILED
                self.requeueing.cool_down(tx, holder.extension_id, f"{cause} ({diagnosis.code}).", diagnosis.pause_ms)

        self.ports.database.write(work)

    def unusable(self, holder: Holder, report: UnusableReport) -> None:
        """A report that was meant to end the attempt cannot be used: the attempt has failed. Raises LeaseLost."""
        expected = {
            "lease": report.named.get("lease"),
            "correlation_id": report.named.get("correlationId"),
            **_connection_of(holder),
        }
        self._end_attempt(
            holder, report.request_id, expected, f"The extension's report cannot be used. {report.detail}"
        )

    def too_large(self, holder: Holder, request_id: str | None, detail: str) -> None:
        """The extension sent a message that is too large, probably a picture: its attempt at the request has failed.

        Without `request_id` it is the only request that it holds, if it holds just one. Raises LeaseLost.
        """
        if request_id is None:
            held = self.ports.database.read(lambda c: leases.held_by(c, holder.extension_id))
            if len(held) != 1:
                raise LeaseLost
            request_id = held[0].id
        self._end_attempt(holder, request_id, _connection_of(holder), detail)

    def progressed(self, holder: Holder, report: messages.ImageGenerationProgress) -> None:
        """Raise the progress, which never falls, and renew the lease. Raises LeaseLost."""

        def work(tx: Transaction) -> None:
            moved = steps.take(
                self.ports,
                tx,
                Step.PROGRESS,
                report.request_id,
                _held(holder, report),
                progress=AtLeast(int(report.progress)),
                progress_note=report.status,
                lease_until=FromNowCapped(self.ports.settings.request_timeout_ms),
                handed_over=True,
            )
            if moved is None:
                raise LeaseLost

        self.ports.database.write(work)

    def offer_received(self, request_id: str, lease: str) -> None:
        """The extension received the offer: the lease now lasts for REQUEST_TIMEOUT_MS.

        If the extension has already reported on the job, that report has renewed the lease.
        """
        if self.ports.database.read(lambda c: leases.is_offer(c, request_id, lease)):
            silent_ms = self.ports.settings.request_timeout_ms
            self.ports.database.write(lambda tx: leases.received(tx, request_id, lease, silent_ms))

    def _end_attempt(self, holder: Holder, request_id: str, expected: Mapping[str, str | None], reason: str) -> None:
        conditions = {name: value for name, value in expected.items() if value is not None}

        def work(tx: Transaction) -> None:
            job = jobs.find_to_change(tx, request_id)
            if job is None:
                raise LeaseLost
            if self.requeueing.give_back(tx, job, GENERATION_FAILED, reason, conditions, strike=True) is None:
                raise LeaseLost
            self.requeueing.cool_down(tx, holder.extension_id, UNUSABLE_REPORT)

        self.ports.database.write(work)

    @staticmethod
    def _late_result(tx: Transaction, holder: Holder, job: Job) -> Message | None:
        if job.holder != holder.extension_id or job.status not in {Status.DOWNLOADING, Status.COMPLETED}:
            raise LeaseLost
        return confirmation(job, images.of_job(tx.connection, job.id)) if job.status is Status.COMPLETED else None


def confirmation(job: Job, pictures: Sequence[StoredImage]) -> Message:
    """The message that confirms to an extension that these pictures are stored."""
    return messages.ImageGenerationConfirmed(
        request_id=job.id,
        image_path=IMAGES_PATH + pictures[0].file,
        correlation_id=job.correlation_id,
        timestamp=wire_time(job.updated_at),
    )


def _found(tx: Transaction, report: Report) -> Job:
    job = jobs.find_to_change(tx, report.request_id)
    if job is None:
        raise LeaseLost
    return job


def _held(holder: Holder, report: Report) -> dict[str, Any]:
    """The lease as a condition: extension and connection, and its lease token and correlation id if it sent them."""
    held = {**_connection_of(holder), "lease": report.lease, "correlation_id": report.correlation_id}
    return {name: value for name, value in held.items() if value is not None}


def _connection_of(holder: Holder) -> dict[str, str]:
    return {
        "status": Status.PROCESSING.value,
        "holder": holder.extension_id,
        "connection_id": holder.connection_id,
    }
