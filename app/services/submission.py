"""Submitting a request: one transaction stores the job and its first event, then a dispatcher is woken."""

from collections.abc import Sequence
from contextlib import AbstractContextManager, suppress
from functools import partial

from app.db import events, jobs, usage
from app.db.engine import Transaction
from app.db.job_inputs import JobInput
from app.db.jobs import Job
from app.domain.errors import Refusal
from app.domain.events import ImageGenerationRequestedEvent
from app.domain.ids import uuid7
from app.domain.image_request import DEFAULT_MODEL, CacheMode, ImageRequest
from app.domain.operations import queue_key
from app.domain.states import Step
from app.services import idempotency, webhook_events
from app.services.admission import Admission
from app.services.idempotency import KeyedRequest
from app.services.identical import Identical, following
from app.services.input_images import InputImages
from app.services.lookup import JobDetails
from app.services.new_requests import columns_of
from app.services.ports import Ports
from app.services.quotas import Quotas
from app.services.reuse import Reuse
from app.services.styles import Styles
from app.services.tiers import UserTiers
from app.services.waiting import Waiting
from app.services.wakeups import wake_if_an_extension_is_free
from app.services.webhooks import Webhooks


class Submission:
    def __init__(
        self,
        ports: Ports,
        admission: Admission,
        styles: Styles,
        reuse: Reuse,
        waiting: Waiting,
        webhooks: Webhooks,
        inputs: InputImages,
    ) -> None:
        self.ports = ports
        self.admission = admission
        self.styles = styles
        self.reuse = reuse
        self.waiting = waiting
        self.webhooks = webhooks
        self.inputs = inputs
        self.identical = Identical(ports)
        self.quotas = Quotas(ports)
        self.tiers = UserTiers(ports)

    def submit(
        self, order: ImageRequest, correlation_id: str, keyed: KeyedRequest[JobDetails[Job]] | None = None
    ) -> JobDetails[Job]:
        """Accept the request; when this returns, it is committed. Returns it with why it waits.

        Raises Unavailable, QuotaExceeded, Forbidden, UnknownStyle, InvalidVariables, InvalidPrompt, InvalidRequest, NotCached,
        WebhookRefused, UnknownInput. With an Idempotency-Key (`keyed`) also AlreadyAnswered and IdempotencyKeyReused.
        """
        self.admission.check()
        if order.webhook is not None:
            self.webhooks.check(order.webhook)
        summary = self.waiting.summaries.current()

        def work(tx: Transaction, pictures: Sequence[JobInput]) -> JobDetails[Job]:
            idempotency.claim(tx, keyed)
            made = self.styles.applied(tx.connection, order)
            job = self._enter(tx, made, correlation_id, pictures)
            events.append(tx, job, ImageGenerationRequestedEvent(job.model, order.user_id))
            tx.after_commit(self.ports.metrics.submitted)
            if job.notify:
                webhook_events.of_job(self.ports, tx, Step.SUBMIT, job)
            waits = job.cached_from is None
            details = JobDetails(job, self.waiting.of_one(tx.connection, job, summary) if waits else None)
            idempotency.keep(tx, keyed, details, job.id)
            if job.cached_from is not None:
                tx.after_commit(partial(self.reuse.resolve, job.cached_from))
            elif job.held_since is None:
                tx.after_commit(partial(wake_if_an_extension_is_free, self.ports))
            return details

        with self.inputs.copied(order.inputs, order.user_id) as copies:
            if order.cache is not CacheMode.OFF:
                self._forget_lost(order, copies)
            with self._one_at_a_time(order):
                return self.ports.database.write(partial(work, pictures=copies))

    def _one_at_a_time(self, order: ImageRequest) -> AbstractContextManager[None]:
        if order.cache is CacheMode.OFF:
            return self.quotas.lock(order.user_id)
        return self.ports.database.local_lock(order.user_id)  # see `Identical.find`

    def _forget_lost(self, order: ImageRequest, pictures: Sequence[JobInput]) -> None:
        with suppress(Refusal):  # the transaction refuses it, unless it is a repetition
            made = self.ports.database.read(lambda c: self.styles.applied(c, order))
            self.identical.forget_lost(order.user_id, columns_of(made, pictures)["fingerprint"])

    def _enter(self, tx: Transaction, order: ImageRequest, correlation_id: str, pictures: Sequence[JobInput]) -> Job:
        model, tier = order.model or DEFAULT_MODEL, self.tiers.of(tx.connection, order.user_id)
        priority = tier.priority(order.priority)
        self.ports.settings.retention.check(order.keep_days, tier.name)
        columns = columns_of(order, pictures)
        self.quotas.serialize(tx, order.user_id)
        source = self.identical.find(tx, order.user_id, columns["fingerprint"], priority, order.cache)
        key = queue_key(model, columns["operation"])
        queue = usage.queue_of(tx.connection, order.user_id, key, priority)
        self.quotas.check(tx, order.user_id, queue)
        values = {
            "correlation_id": correlation_id,
            **columns,
            "last_event": 1,
            "number": queue.last_number + 1,
            "priority": priority,
            "virtual_start": queue.virtual_start(tier.weight),
            "held_since": tx.now if queue.user_is_paused else None,
            "deadline_at": None if order.deadline_ms is None else tx.now + order.deadline_ms,
            **({} if source is None else {"held_since": tx.now, **following(source)}),
        }
        job_id = uuid7(tx.now, self.ports.randomness.bytes(10), above=queue.last_id)
        if order.webhook is not None:
            self.webhooks.attach(tx, order.user_id, job_id, order.webhook)
        self.inputs.keep(tx, job_id, pictures)
        return jobs.add(tx, job_id, values, notify=queue.notify or order.webhook is not None)
