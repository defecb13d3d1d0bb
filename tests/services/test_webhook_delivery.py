"""Sending to webhooks: order, retries, and webhooks that are disabled."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from app.adapters.fetch_errors import FetchTimeout
from app.db.jobs import Job
from app.db.webhook_tables import webhook_deliveries as table
from app.domain import webhooks as rules
from app.domain.webhooks import ATTEMPTS, PAUSES_MS, Answer, Target, WebhookEvent
from tests.support.harness import Harness
from tests.support.webhooks import OTHER, URL, Receiver, deliver, make_due, pauses

DAY = 86_400_000
OK, BROKEN = Answer(200, b"thanks"), Answer(500, b"out of order")
ENDS = (WebhookEvent.ACCEPTED, WebhookEvent.CANCELLED)


@pytest.fixture
def receiver(harness: Harness) -> Receiver:
    return Receiver.create(harness)


def cancelled(harness: Harness) -> Job:
    """Submit a request and cancel it."""
    job = harness.submit()
    harness.services.cancellation.cancel(job.id)
    return harness.reload(job)


def attempt(harness: Harness, times: int = 1) -> None:
    """Let so many attempts be made."""
    for _ in range(times):
        make_due(harness)
        deliver(harness)


def test_a_delivery_records_how_the_receiver_answered(harness: Harness, receiver: Receiver) -> None:
    receiver.answer(Answer(201, b"\xff" + b"x" * 50))
    job = harness.submit()
    deliver(harness)
    [delivery] = receiver.deliveries()
    assert (delivery.status, delivery.attempts, delivery.response_status) == ("delivered", 1, 201)
    assert delivery.response_body == "\ufffd" + "x" * 50
    assert delivery.event_id == f"evt_{job.id}_1"
    assert delivery.duration_ms is not None
    assert (delivery.error, delivery.lease) == (None, None)


@pytest.mark.parametrize("status", [100, 199, 300, 301, 302, 304, 307, 308, 400, 401, 404, 429, 500, 503, 599])
def test_only_2xx_counts_as_delivered(harness: Harness, receiver: Receiver, status: int) -> None:
    receiver.answer(Answer(status, b""))
    harness.submit()
    deliver(harness)
    [delivery] = receiver.deliveries()
    assert (delivery.status, delivery.response_status) == ("pending", status)
    assert ("redirects" in (delivery.error or "")) is (300 <= status <= 399)


def test_failed_attempts_are_repeated_by_the_schedule(harness: Harness, receiver: Receiver) -> None:
    receiver.answer(BROKEN)
    harness.bench.randomness.jitter_value = 0.0
    harness.submit()
    deliver(harness)
    for number, pause_ms in enumerate(PAUSES_MS, 1):
        assert receiver.deliveries()[0].attempts == number
        assert pauses(harness) == [pytest.approx(pause_ms, abs=2_000)]
        attempt(harness)
    [delivery] = receiver.deliveries()
    assert (delivery.status, delivery.attempts) == ("failed", ATTEMPTS)
    assert len({each.headers["webhook-id"] for each in receiver.sent}) == 1


def test_retry_after_makes_a_pause_longer(harness: Harness, receiver: Receiver) -> None:
    receiver.answer(Answer(503, b"", retry_after_ms=7_200_000))
    harness.submit()
    deliver(harness)
    assert pauses(harness) == [pytest.approx(7_200_000, abs=2_000)]


def test_no_answer_at_all_is_a_failure(harness: Harness, receiver: Receiver) -> None:
    receiver.answer(FetchTimeout("The host did not answer within 15 seconds."))
    harness.submit()
    deliver(harness)
    [delivery] = receiver.deliveries()
    assert (delivery.status, delivery.error) == ("pending", "The host did not answer within 15 seconds.")
    assert receiver.reload().silent_since is not None


def test_a_success_ends_the_failing(harness: Harness, receiver: Receiver) -> None:
    receiver.answer(BROKEN)
    harness.submit()
    deliver(harness)
    assert receiver.reload().failing_since is not None
    receiver.answer(OK)
    attempt(harness)
    assert (receiver.reload().failing_since, receiver.reload().silent_since) == (None, None)
    assert receiver.deliveries()[0].status == "delivered"


def test_a_later_event_waits_for_three_attempts_of_an_earlier_one_and_no_more(
    harness: Harness, receiver: Receiver
) -> None:
    failing = iter([BROKEN, BROKEN, BROKEN])
    receiver.answer(lambda: next(failing, OK))
    cancelled(harness)
    deliver(harness)
    attempt(harness)
    assert receiver.types == ["image.accepted"] * 2
    attempt(harness)
    assert receiver.types == ["image.accepted"] * 3 + ["image.cancelled"]
    attempt(harness)
    assert receiver.types[-1] == "image.accepted"
    assert [each.json["sequence"] for each in receiver.sent] == [1, 1, 1, 2, 1]


def test_events_of_other_requests_do_not_wait(harness: Harness, receiver: Receiver) -> None:
    answers = iter([BROKEN])
    receiver.answer(lambda: next(answers, OK))
    first, second = harness.submit(), harness.submit()
    deliver(harness)
    told = [each.json["data"]["requestId"] for each in receiver.sent]
    assert told == [first.id, second.id]


def test_events_for_other_webhooks_do_not_wait(harness: Harness, receiver: Receiver) -> None:
    other = Receiver.create(harness, OTHER)
    receiver.answer(FetchTimeout("silent"))
    cancelled(harness)
    deliver(harness)
    assert other.types == ["image.accepted", "image.cancelled"]
    assert receiver.types == ["image.accepted"]


def test_progress_that_fails_is_not_repeated_once_there_is_something_newer(
    harness: Harness, receiver: Receiver
) -> None:
    holder, job = harness.connect_and_start()
    deliver(harness)
    harness.report_progress(holder, job)

    def answer() -> Answer:
        receiver.answer(OK)
        harness.services.cancellation.cancel(job.id)
        return BROKEN

    receiver.answer(answer)
    deliver(harness)
    assert receiver.types[-2:] == ["image.progress", "image.cancelled"]
    assert [each.status for each in receiver.deliveries()][-2:] == ["replaced", "delivered"]


def test_410_disables_the_webhook(harness: Harness, receiver: Receiver) -> None:
    receiver.answer(Answer(410, b""))
    harness.submit()
    harness.submit()
    deliver(harness)
    endpoint = receiver.reload()
    assert not endpoint.enabled
    assert "410" in (endpoint.disabled_reason or "")
    assert len(receiver.sent) == 1
    assert {each.status for each in receiver.deliveries()} == {"failed"}
    harness.submit()
    assert len(receiver.deliveries()) == 2


def test_a_webhook_that_failed_for_five_days_is_disabled(harness: Harness, receiver: Receiver) -> None:
    receiver.answer(BROKEN)
    receiver.update(failing_since=harness.now() - 5 * DAY + 60_000)
    harness.submit()
    deliver(harness)
    assert receiver.reload().enabled
    receiver.update(failing_since=harness.now() - 5 * DAY)
    attempt(harness)
    assert not receiver.reload().enabled
    assert receiver.reload().disabled_reason == "All attempts failed for 5 days."
    assert receiver.deliveries()[0].status == "failed"


def test_a_test_event_is_sent_once(harness: Harness, receiver: Receiver) -> None:
    receiver.answer(BROKEN)
    harness.services.webhooks.test("ann", receiver.endpoint.id)
    deliver(harness)
    assert receiver.types == ["webhook.test"]
    assert receiver.sent[0].json["data"] == {"webhookId": receiver.endpoint.id}
    [delivery] = receiver.deliveries()
    assert (delivery.status, delivery.response_body) == ("failed", "out of order")
    assert receiver.reload().failing_since is None


def test_a_crashed_worker_loses_nothing(harness: Harness, receiver: Receiver, monkeypatch: pytest.MonkeyPatch) -> None:
    harness.submit()

    def crash(*_: object, **__: object) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as broken:
        broken.setattr(harness.bench.post, "post", crash)
        with pytest.raises(KeyboardInterrupt):
            deliver(harness)
    deliver(harness)
    assert receiver.sent == []  # its claim has not ended yet
    attempt(harness)
    assert receiver.types == ["image.accepted"]
    assert receiver.deliveries()[0].attempts == 2


def test_a_worker_that_lost_its_claim_changes_nothing(harness: Harness, receiver: Receiver) -> None:
    def slow() -> Answer:
        receiver.answer(OK)
        make_due(harness)
        deliver(harness)
        return BROKEN

    receiver.answer(slow)
    harness.submit()
    deliver(harness)
    [delivery] = receiver.deliveries()
    assert (delivery.status, delivery.response_status) == ("delivered", 200)
    assert receiver.reload().failing_since is None


@pytest.mark.parametrize("field", ["url", "events", "description"])
def test_a_retry_goes_to_where_the_webhook_is_now(harness: Harness, receiver: Receiver, field: str) -> None:
    changes = {"url": OTHER, "events": ENDS, "description": "moved"}
    receiver.answer(BROKEN)
    harness.submit()
    deliver(harness)
    harness.services.webhooks.change("ann", receiver.endpoint.id, **{field: changes[field]})
    attempt(harness)
    assert harness.bench.post.sent[-1].url == (OTHER if field == "url" else URL)


def test_what_was_sent_long_ago_is_removed(harness: Harness, receiver: Receiver) -> None:
    harness.submit(webhook=Target(OTHER))
    deliver(harness)
    kept = len(receiver.deliveries())
    harness.services.cleanup.sweep()
    assert len(receiver.deliveries()) == kept
    harness.services.cleanup.sweep(harness.now() + 31 * DAY)
    assert receiver.deliveries() == []
    assert scoped(harness) == 1
    harness.services.cleanup.sweep(harness.now() + 91 * DAY)
    assert scoped(harness) == 0
    assert receiver.reload().enabled


def scoped(harness: Harness) -> int:
    job = harness.services.lookup.page("ann", None, None, 1).jobs[0].job
    return len(harness.services.webhooks.page("ann", job.id, None, 9).endpoints)


def test_a_sweep_wakes_a_worker_for_what_is_due(harness: Harness, receiver: Receiver) -> None:
    harness.sweep()
    assert harness.bench.tasks.deliveries == 0
    harness.submit()
    woken = harness.bench.tasks.deliveries
    assert woken > 0
    harness.sweep()
    assert harness.bench.tasks.deliveries == woken + 1


def test_nobody_is_woken_for_users_without_webhooks(harness: Harness) -> None:
    cancelled(harness)
    assert harness.bench.tasks.deliveries == 0


def test_a_clock_that_was_set_back_delays_no_delivery(harness: Harness, receiver: Receiver) -> None:
    cancelled(harness)
    ahead = harness.now() + 3 * DAY
    statement = table.update().values(due_at=ahead)
    harness.bench.database.write(lambda tx: tx.connection.execute(statement))
    harness.sweep()
    harness.set_last_sweep(-3 * DAY)
    harness.sweep()
    deliver(harness)
    assert receiver.types == ["image.accepted", "image.cancelled"]


@pytest.mark.parametrize(("attempts", "jitter"), [(1, 0.0), (1, 1.0), (9, 0.5)])
def test_a_pause_is_longer_by_up_to_a_tenth(attempts: int, jitter: float) -> None:
    pause = rules.pause_ms(attempts, jitter)
    assert pause == round(PAUSES_MS[attempts - 1] * (1 + 0.1 * jitter))


HOSTS: dict[str, Callable[[Harness], Harness]] = {
    "one at a time": lambda harness: harness.with_settings(webhooks_per_host=1),
    "several": lambda harness: harness,
}


@pytest.mark.parametrize("limit", list(HOSTS))
def test_a_silent_host_takes_one_worker(harness: Harness, receiver: Receiver, limit: str) -> None:
    """While that waits for it, other workers send to others only."""
    harness = HOSTS[limit](harness)
    other = Receiver.create(harness, OTHER)
    receiver.update(silent_since=1)
    for _ in range(3):
        harness.submit()

    def hang() -> Answer:
        receiver.answer(OK)
        before = len(receiver.sent)
        deliver(harness)  # another worker
        assert len(receiver.sent) == before
        assert len(other.sent) == 3
        return OK

    receiver.answer(hang)
    deliver(harness)
    deliver(harness)
    assert len(receiver.sent) == 3
