"""Cancelling a request."""

from collections.abc import Sequence
from functools import partial

from app.db import jobs
from app.db.compare_and_set import NOW
from app.db.engine import Transaction
from app.db.jobs import Job
from app.domain.errors import AlreadyFinished
from app.domain.events import ImageGenerationCancelledEvent
from app.domain.states import Status, Step
from app.services import steps
from app.services.extension_messages import send_cancel
from app.services.lookup import owned
from app.services.ports import Ports
from app.services.requeueing import NOT_HELD
from app.services.wakeups import wake_if_a_job_waits


class Cancellation:
    def __init__(self, ports: Ports) -> None:
        self.ports = ports

    def cancel(self, request_id: str, owner: str | None = None) -> Job:
        """Cancel the request; idempotent. Raises NotFound, AlreadyFinished.

        With an `owner`, requests of other users are not found.
        """
        return self.ports.database.write(lambda tx: self._cancel(tx, request_id, owner))

    def cancel_waiting(self, tx: Transaction, found: Sequence[Job]) -> None:
        """Cancel these jobs, which no extension holds and which the transaction has locked."""
        steps.take_all(
            self.ports,
            tx,
            Step.CANCEL,
            found,
            lambda _: ImageGenerationCancelledEvent(),
            finished_at=tx.now,
            fingerprint=None,
        )

    def _cancel(self, tx: Transaction, request_id: str, owner: str | None) -> Job:
        job = owned(jobs.find_to_change(tx, request_id), request_id, owner)
        holder = job.holder if job.status is Status.PROCESSING else None
        done = steps.take(
            self.ports,
            tx,
            Step.CANCEL,
            job.id,
            event=ImageGenerationCancelledEvent(holder),
            was_held_by=holder,
            finished_at=NOW,
            fingerprint=None,  # no identical request can get its pictures
            **NOT_HELD,
        )
        if done is None and job.status is Status.CANCELLED:
            return job
        if done is None:
            raise AlreadyFinished(f"The request has already {job.status.value}: it can no longer be cancelled.")
        if holder is not None:
            send_cancel(self.ports, tx, job)
            tx.after_commit(partial(wake_if_a_job_waits, self.ports))
        return done
