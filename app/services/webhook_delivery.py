"""Sends events to webhooks: claims a delivery, signs and sends it, and stores what became of it."""

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any, NamedTuple, TypeVar

from sqlalchemy import Connection

from app import logs
from app.db import images, jobs, webhook_claims, webhooks
from app.db.engine import Transaction
from app.db.images import StoredImage
from app.db.jobs import Job
from app.db.webhook_claims import Claim, Outcome
from app.domain.images import PictureError
from app.domain.states import Status
from app.domain.webhooks import (
    DISABLED_AFTER_MS,
    GONE,
    HELD_FOR,
    WebhookEvent,
    headers,
    pause_ms,
)
from app.services.batch_lookup import BatchDetails
from app.services.ports import Ports
from app.services.webhook_events import restored
from app.services.webhook_secrets import KEY_CHANGED, SecretLost, WebhookSecrets
from app.services.webhooks import disable

TASK_S = 1.0  # then the task ends, so that the worker can stop
MARGIN_MS = 15_000  # a claim is longer than an attempt by this
SAID_GONE = "Its receiver answered 410 (Gone)."
FAILED_TOO_LONG = f"All attempts failed for {DISABLED_AFTER_MS // 86_400_000} days."
NO_SUBJECT = "What the event is about no longer exists."

log = logs.get(__name__)
T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Message:
    """An event to be sent. A request is in `job`, as it was after the event, with its images; a batch likewise in `batch`. The
    data of a test is in `answer`."""

    event_id: str
    type: WebhookEvent
    sequence: int
    at: int
    job: Job | None = None
    images: Sequence[StoredImage] = ()
    batch: BatchDetails | None = None
    answer: Mapping[str, Any] | None = None


class Due(NamedTuple):
    """A claimed delivery, with the request that it is about, as both are at the claim."""

    claim: Claim
    job: Job | None = None
    images: Sequence[StoredImage] = ()


Render = Callable[[Message], str]


def claim_ms(timeout_ms: int) -> int:
    """How long a worker may take for one attempt."""
    return timeout_ms + MARGIN_MS


class WebhookDelivery:
    def __init__(self, ports: Ports) -> None:
        self.ports = ports
        self.secrets = WebhookSecrets(ports)

    def run(self, render: Render) -> None:
        """Send what is due and unclaimed, one after the other, for `TASK_S` seconds; `render` makes the body of a message.

        Safe at any time and in parallel; wakes another worker if there is something to do. Raises Unavailable if the database
        cannot be reached; what was claimed is due again when its claim ends.
        """
        ends = time.monotonic() + TASK_S
        due = self._claiming(self._next)
        if due is not None:
            self.ports.tasks.deliver()  # there may be more
        while due is not None:
            outcome, retry_after_ms = self._attempt(due, render)
            due = self._claiming(partial(self._settle, due.claim, outcome, retry_after_ms, ends))
        if time.monotonic() >= ends:
            self.ports.tasks.deliver()

    def _claiming(self, work: Callable[[Transaction], T]) -> T:
        """Run a transaction that claims. The threads of a process take turns, since they would not see each other's claims
        and exceed the limits of a host."""
        with self.ports.database.local_lock("webhooks"):
            return self.ports.database.write(work)

    def _next(self, tx: Transaction) -> Due | None:
        settings = self.ports.settings
        found = webhook_claims.hosts(tx.connection)
        for host in webhook_claims.in_turn(found, settings.webhooks_per_host, max(1, settings.webhooks_at_once // 2)):
            lease = self.ports.randomness.token()
            claimed = webhook_claims.claim(tx, host, lease, claim_ms(settings.webhook_timeout_ms))
            if claimed is not None:
                return _with_subject(tx.connection, claimed)
        return None

    def _attempt(self, due: Due, render: Render) -> tuple[Outcome, int | None]:
        """The outcome, and the wait that the receiver asks for."""
        claim, began = due.claim, time.monotonic()

        def outcome(**values: Any) -> Outcome:
            return Outcome(round(1000 * (time.monotonic() - began)), **values)

        try:
            message = _message(due)
            if message is None:
                return outcome(error=NO_SUBJECT), None
            body = render(message).encode()
            now_ms = time.time_ns() // 1_000_000
            signed = headers(self.secrets.signing(claim, now_ms), claim.event_id, now_ms // 1000, body)
            answer = self.ports.post.post(claim.url, body, signed, self.ports.settings.webhook_timeout_ms)
        except SecretLost:
            return outcome(error=KEY_CHANGED), None
        except PictureError as problem:
            return outcome(error=str(problem)), None
        found = outcome(response_status=answer.status, response_body=answer.text, error=answer.problem)
        return found, answer.retry_after_ms

    def _settle(
        self, claim: Claim, outcome: Outcome, retry_after_ms: int | None, ends: float, tx: Transaction
    ) -> Due | None:
        """Store the outcome; returns the next claim, unless the task's time is over."""
        result, seconds = "failed" if outcome.error else "delivered", outcome.duration_ms / 1000
        tx.after_commit(partial(self.ports.metrics.webhook_attempted, result, seconds))
        if outcome.error is None:
            mine = webhook_claims.finish(tx, claim, "delivered", outcome)
        else:
            mine = self._failed(tx, claim, outcome, retry_after_ms)
        if mine:
            self._note(tx, claim, outcome)
        return self._next(tx) if time.monotonic() < ends else None

    def _failed(self, tx: Transaction, claim: Claim, outcome: Outcome, retry_after_ms: int | None) -> bool:
        """Retry later, for as long as the schedule says; False if the claim was lost."""
        pause = pause_ms(claim.attempts, self.ports.randomness.jitter(), retry_after_ms)
        if pause is None or claim.type is WebhookEvent.TEST or outcome.error == NO_SUBJECT:
            return webhook_claims.finish(tx, claim, "failed", outcome)
        if claim.is_replaceable and webhook_claims.has_later(tx, claim):
            return webhook_claims.finish(tx, claim, "replaced", outcome)
        mine = webhook_claims.postpone(tx, claim, pause, outcome)
        if mine and claim.attempts < HELD_FOR:
            webhook_claims.postpone_later(tx, claim, pause)
        return mine

    def _note(self, tx: Transaction, claim: Claim, outcome: Outcome) -> None:
        """Note on the webhook whether it works, and disable it if its receiver is gone."""
        answered = outcome.response_status is not None or outcome.error in {NO_SUBJECT, KEY_CHANGED}
        silent_since = None if answered else claim.silent_since or tx.now
        failing_since = None if outcome.error is None else claim.failing_since or tx.now
        if claim.type is WebhookEvent.TEST and outcome.error is not None:
            failing_since = claim.failing_since
        if (failing_since, silent_since) != (claim.failing_since, claim.silent_since):
            webhooks.note(tx, claim.endpoint_id, failing_since, silent_since)
        reason = None
        if outcome.response_status == GONE:
            reason = SAID_GONE
        elif failing_since is not None and tx.now - failing_since >= DISABLED_AFTER_MS:
            reason = FAILED_TOO_LONG
        if reason is not None:
            log.warning(
                "A webhook was disabled", action="webhook.disabled", webhook_id=claim.endpoint_id, reason=reason
            )
            disable(tx, claim.endpoint_id, reason)


def _with_subject(connection: Connection, claim: Claim) -> Due:
    if claim.subject_id is None or claim.type.is_of_batch:
        return Due(claim)
    job = jobs.find(connection, claim.subject_id)
    with_images = job is not None and job.status is Status.COMPLETED and not claim.snapshot
    return Due(claim, job, images.of_job(connection, claim.subject_id) if with_images else ())


def _message(due: Due) -> Message | None:
    claim, job = due.claim, due.job
    message = partial(Message, claim.event_id, claim.type, claim.sequence, claim.occurred_at)
    if claim.subject_id is None:
        return message(answer=claim.snapshot)
    if claim.type.is_of_batch:
        return message(batch=restored(claim.snapshot))
    return None if job is None else message(job=_as_it_was(job, claim), images=due.images)


def _as_it_was(job: Job, claim: Claim) -> Job:
    """The job after the event. It may have been tried again since then, by another request that has replaced it.

    If it was not final, nothing was generated, nothing had failed for good, and no pictures of others had been taken.
    """
    job = job._replace(version=claim.sequence, updated_at=claim.occurred_at, replaced_by=None)
    snapshot = claim.snapshot
    if not snapshot:
        return job
    past = {"follows": None, "cached_from": None, **snapshot, "status": Status(snapshot["status"])}
    return job._replace(**past, error_code=None, error=None, reason=None, source_metadata=None, generated_at=None)
