"""Returning a job from its extension to the queue, or failing it after `MAX_ATTEMPTS` strikes."""

from collections.abc import Mapping
from functools import partial
from typing import Any

from app.db import fleet, pauses
from app.db.compare_and_set import NOW
from app.db.engine import Transaction
from app.db.jobs import Job
from app.domain import policy
from app.domain.events import ImageGenerationFailedEvent, ImageGenerationRequeuedEvent
from app.domain.image_request import DEFAULT_MODEL
from app.domain.states import Step
from app.services import steps
from app.services.ports import Ports
from app.services.wakeups import wake_if_a_job_waits

NOT_HELD: dict[str, Any] = {
    "holder": None,
    "connection_id": None,
    "lease": None,
    "lease_until": None,
    "attempt_until": None,
    "handed_over": False,
}
NOT_GENERATED: dict[str, Any] = {"sources": None, "source_metadata": None, "generated_at": None, "download_attempt": 0}
SHORTEST_PAUSE_MS, LONGEST_PAUSE_MS = 2_000, 600_000


class Requeueing:
    def __init__(self, ports: Ports) -> None:
        self.ports = ports

    def give_back(
        self,
        tx: Transaction,
        job: Job,
        code: str,
        reason: str,
        expected: Mapping[str, Any] | None = None,
        *,
        strike: bool,
    ) -> Job | None:
        """Take the job from its holder: requeue it, or fail it with `code` after `MAX_ATTEMPTS` strikes.

        `strike` is True if this attempt counts. None if the job is no longer held under the lease in `job`, or if its columns no
        longer have the `expected` values.
        """
        strikes = job.strikes + strike
        still_held = {"lease": job.lease, **(expected or {})}
        if strikes >= self.ports.settings.max_attempts:
            return self.fail(tx, job, code, reason, still_held)
        back = steps.take(
            self.ports,
            tx,
            Step.REQUEUE,
            job.id,
            still_held,
            event=ImageGenerationRequeuedEvent(job.holder, job.attempt, code, reason),
            was_held_by=job.holder,
            strikes=strikes,
            avoid=job.holder,
            progress=0,
            progress_note=None,
            due_at=NOW,
            **NOT_HELD,
            **NOT_GENERATED,
            **({"model": DEFAULT_MODEL} if job.any_model else {}),
            **({"held_since": NOW} if _is_held(tx, job) else {}),
        )
        if back is not None:
            tx.after_commit(self.ports.tasks.assign)
        return back

    def cool_down(self, tx: Transaction, extension_id: str, reason: str, pause_ms: int | None = None) -> None:
        """Count a failure of the extension and give it no work for a while, by default longer after each failure.

        All users may read `reason`: it must contain nothing of a request or of an extension's own words.
        """
        if pause_ms is None:
            failures = fleet.failures(tx.connection, extension_id) + 1
            jitter = self.ports.randomness.jitter()
            pause_ms = policy.backoff_ms(failures, jitter, base_ms=SHORTEST_PAUSE_MS, cap_ms=LONGEST_PAUSE_MS)
        fleet.cool_down(tx, extension_id, pause_ms, reason)

    def fail(
        self,
        tx: Transaction,
        job: Job,
        code: str,
        error: str,
        expected: Mapping[str, Any] | None = None,
        reason: str | None = None,
    ) -> Job | None:
        """Fail the job; None if its columns no longer have the `expected` values."""
        failed = steps.take(
            self.ports,
            tx,
            Step.FAIL,
            job.id,
            expected,
            event=ImageGenerationFailedEvent(code, error, reason, job.holder, job.attempt or None),
            was_held_by=job.holder,
            error_code=code,
            error=error,
            reason=reason,
            finished_at=NOW,
            fingerprint=None,  # no identical request can get its pictures
            **NOT_HELD,
        )
        if failed is not None and job.holder is not None:
            tx.after_commit(partial(wake_if_a_job_waits, self.ports))
        return failed


def _is_held(tx: Transaction, job: Job) -> bool:
    """The pause of its user holds it back. The items of a batch are held by that."""
    return job.batch_id is None and pauses.user_is_paused(tx.connection, job.user_id)
