"""Which events are sent to which webhooks, and what they say."""

from __future__ import annotations

import pytest

from app.db.batches import Batch
from app.db.jobs import Job
from app.domain.batches import NewBatch
from app.domain.errors import WebhookRefused
from app.domain.image_request import CacheMode, ImageRequest
from app.domain.states import Status
from app.domain.webhooks import DEFAULT, Answer, Target, WebhookEvent
from app.services.lookup import JobDetails
from app.web import presenters
from app.web.batch_schemas import BatchState
from app.web.picture_addresses import PictureAddresses
from tests.support import batches
from tests.support.harness import PICTURE, Harness
from tests.support.image_samples import png
from tests.support.statements import recorded_statements
from tests.support.webhooks import OTHER, URL, Receiver, deliver, make_due


def complete(harness: Harness, **request: object) -> Job:
    """Take a request all the way."""
    harness.bench.fetch.answers[PICTURE] = png()
    holder = harness.connect()
    job = harness.submit_and_start(**request)
    harness.report_progress(holder, job, 40)
    harness.report_image(holder, job)
    harness.run_downloads()
    return harness.reload(job)


def test_every_event_of_a_completed_request_is_sent_in_order(harness: Harness) -> None:
    receiver = Receiver.create(harness, events=DEFAULT)
    job = complete(harness)
    deliver(harness)
    assert receiver.types == ["image.accepted", "image.processing", "image.completed"]
    sequences = [each.json["sequence"] for each in receiver.sent]
    assert sequences == sorted(set(sequences))
    assert sequences[-1] == job.version
    assert [each.json["data"]["status"] for each in receiver.sent] == ["accepted", "processing", "completed"]
    assert [each.status for each in receiver.deliveries()] == ["delivered"] * 3


def test_the_data_is_what_get_answers(harness: Harness) -> None:
    receiver = Receiver.create(harness, events=(WebhookEvent.COMPLETED,))
    job = complete(harness)
    deliver(harness)
    [sent] = receiver.sent
    details = harness.services.lookup.details(job.id)
    addresses = PictureAddresses("http://localhost:3000", harness.services.picture_grants)
    expected = presenters.result(JobDetails(details.job, images=details.images), addresses)
    answered = expected.model_dump(mode="json", exclude_none=True)
    assert sent.json["data"] == {**answered, "timestamp": sent.json["timestamp"]}
    assert sent.json["data"]["imagePath"].startswith("/generated-images/")
    assert sent.json["eventId"] == sent.headers["webhook-id"] == f"evt_{job.id}_{job.version}"
    assert sent.json["timestamp"] == answered["updatedAt"]


def test_an_event_tells_what_was_true_when_it_happened(harness: Harness) -> None:
    """Although it is sent when everything is over."""
    receiver = Receiver.create(harness)
    job = complete(harness)
    deliver(harness)
    processing = next(each.json for each in receiver.sent if each.json["type"] == "image.processing")
    assert processing["data"]["status"] == "processing"
    assert processing["data"]["progress"] == 0
    assert "images" not in processing["data"]
    assert "generatedAt" not in processing["data"]["metadata"]
    assert processing["data"]["version"] == processing["sequence"] < job.version


def test_an_event_stays_the_same_after_its_request_was_tried_again(harness: Harness) -> None:
    receiver = Receiver.create(harness)
    batch = batches.create(harness, count=1)
    finish(harness, batch, 1)
    deliver(harness)
    harness.services.batch_retrying.retry(batch.id, status=Status.CANCELLED)
    deliver(harness)
    before = {each.headers["webhook-id"]: each.body for each in receiver.sent}
    for each in receiver.deliveries():
        harness.services.webhooks.redeliver("ann", receiver.endpoint.id, each.id)
    deliver(harness)
    assert len(receiver.sent) == 2 * len(before)
    assert {each.headers["webhook-id"]: each.body for each in receiver.sent} == before


def test_a_request_that_follows_another_one_does_not_tell_before_its_end_whose_pictures_it_gets(
    harness: Harness,
) -> None:
    receiver = Receiver.create(harness, events=DEFAULT)
    harness.bench.fetch.answers[PICTURE] = png()
    holder, leader = harness.connect_and_start()
    follower = harness.submit(cache=CacheMode.PREFER)
    harness.report_image(holder, leader)
    harness.run_downloads()
    harness.services.reuse.resolve_all()
    deliver(harness)
    told = [each.json["data"] for each in receiver.sent]
    accepted, completed = (each for each in told if each["requestId"] == follower.id)
    assert accepted["follows"] == leader.id
    assert "cached" not in accepted
    assert (completed["cached"], completed["cachedFrom"]) == (True, leader.id)
    assert "follows" not in completed


def test_failures_and_cancellations_are_sent(harness: Harness) -> None:
    receiver = Receiver.create(harness, events=(WebhookEvent.FAILED, WebhookEvent.CANCELLED))
    failed = harness.with_settings(max_attempts=1)
    holder, job = failed.connect_and_start()
    failed.report_failure(holder, job)
    harness.services.cancellation.cancel(harness.submit().id)
    deliver(harness)
    assert sorted(receiver.types) == ["image.cancelled", "image.failed"]
    [told] = [each.json["data"] for each in receiver.sent if each.json["type"] == "image.failed"]
    assert told["error"] == "The tab crashed"
    assert told["code"] == "ERR_GENERATION_FAILED"


@pytest.mark.parametrize("events", [DEFAULT, (WebhookEvent.COMPLETED,)])
def test_progress_is_sent_only_where_it_is_asked_for(harness: Harness, events: tuple[WebhookEvent, ...]) -> None:
    Receiver.create(harness, events=events)
    holder, job = harness.connect_and_start()
    with recorded_statements("webhook_deliveries") as statements:
        harness.report_progress(holder, job)
    assert statements == []


def test_newer_progress_replaces_what_was_not_sent_yet(harness: Harness) -> None:
    receiver = Receiver.create(harness, events=(WebhookEvent.PROGRESS,))
    holder, job = harness.connect_and_start()
    for percent in (10, 20, 30):
        harness.report_progress(holder, job, percent)
    deliver(harness)
    assert [each.json["data"]["progress"] for each in receiver.sent] == [30]


def test_progress_is_sent_at_most_once_a_second(harness: Harness) -> None:
    receiver = Receiver.create(harness, events=(WebhookEvent.PROGRESS,))
    holder, job = harness.connect_and_start()
    harness.report_progress(holder, job, 10)
    deliver(harness)
    harness.report_progress(holder, job, 20)
    [waiting] = receiver.deliveries()
    assert waiting.status == "pending"
    assert waiting.attempted_at is not None
    assert waiting.due_at == waiting.attempted_at + 1_000


def test_progress_that_was_not_sent_is_dropped_at_the_end(harness: Harness) -> None:
    receiver = Receiver.create(harness, events=(WebhookEvent.PROGRESS, WebhookEvent.COMPLETED))
    complete(harness)
    deliver(harness)
    assert receiver.types == ["image.completed"]
    assert [each.status for each in receiver.deliveries()] == ["replaced", "delivered"]


def test_progress_that_changes_while_it_is_sent_is_sent_again(harness: Harness) -> None:
    receiver = Receiver.create(harness, events=(WebhookEvent.PROGRESS,))
    holder, job = harness.connect_and_start()
    harness.report_progress(holder, job, 10)

    def answer() -> Answer:
        receiver.answer(Answer(204, b""))
        harness.report_progress(holder, job, 20)
        return Answer(204, b"")

    receiver.answer(answer)
    deliver(harness)
    [waiting] = receiver.deliveries()
    assert (waiting.status, waiting.attempts, waiting.lease) == ("pending", 0, None)
    make_due(harness)
    deliver(harness)
    assert [each.json["data"]["progress"] for each in receiver.sent] == [10, 20]


def test_a_webhook_is_told_of_its_own_users_requests_alone(harness: Harness) -> None:
    receiver = Receiver.create(harness)
    harness.submit(user="ben")
    deliver(harness)
    assert receiver.sent == []


def test_a_disabled_webhook_is_told_of_nothing(harness: Harness) -> None:
    receiver = Receiver.create(harness)
    harness.services.webhooks.change("ann", receiver.endpoint.id, enabled=False)
    harness.submit()
    assert receiver.deliveries() == []


def test_the_webhook_of_a_request_is_told_of_that_alone(harness: Harness) -> None:
    everything = Receiver.create(harness, OTHER)
    target = Target(URL, (WebhookEvent.ACCEPTED, WebhookEvent.CANCELLED))
    order = ImageRequest("a fox", user_id="ann", webhook=target)
    job = harness.services.submission.submit(order, "correlation-1").job
    other = harness.submit()
    for each in (job, other):
        harness.services.cancellation.cancel(each.id)
    deliver(harness)
    told = [each.json for each in harness.bench.post.sent if each.url == URL]
    assert [each["type"] for each in told] == ["image.accepted", "image.cancelled"]
    assert {each["data"]["requestId"] for each in told} == {job.id}
    assert len(everything.sent) == 4


def test_a_refused_submission_leaves_no_webhook(harness: Harness) -> None:
    harness.bench.post.refused.add(URL)
    with pytest.raises(WebhookRefused, match="WEBHOOK_ALLOWLIST"):
        harness.submit(webhook=Target(URL))
    assert harness.services.lookup.page("ann", None, None, 9).jobs == []


def finish(harness: Harness, batch: Batch, count: int) -> None:
    """Cancel so many more items of the batch."""
    open_items = [job for job in batches.requests(harness, batch) if job.finished_at is None]
    for job in open_items[:count]:
        harness.services.cancellation.cancel(job.id)


def test_a_batch_tells_each_tenth_and_the_end(harness: Harness) -> None:
    receiver = Receiver.create(harness, events=(WebhookEvent.BATCH_PROGRESS, WebhookEvent.BATCH_COMPLETED))
    batch = batches.create(harness, count=20)
    finish(harness, batch, 1)
    deliver(harness)
    assert receiver.types == []
    finish(harness, batch, 1)
    deliver(harness)
    finish(harness, batch, 18)
    make_due(harness)
    deliver(harness)
    assert receiver.types == ["batch.progress", "batch.completed"]
    progress, completed = (each.json["data"] for each in receiver.sent)
    assert (progress["progress"], progress["counts"]["cancelled"], progress["status"]) == (10, 2, "running")
    shown = BatchState.of(harness.services.batch_lookup.details(batch.id)).model_dump(mode="json", exclude_none=True)
    assert {**completed, "timestamp": ""} == {**shown, "timestamp": ""}


def test_progress_of_a_batch_that_was_not_sent_yet_is_replaced(harness: Harness) -> None:
    receiver = Receiver.create(harness, events=(WebhookEvent.BATCH_PROGRESS,))
    batch = batches.create(harness, count=10)
    for _ in range(3):
        finish(harness, batch, 1)
    deliver(harness)
    assert [each.json["data"]["progress"] for each in receiver.sent] == [30]


def test_the_webhook_of_a_batch_is_told_of_its_items_too(harness: Harness) -> None:
    events = (WebhookEvent.ACCEPTED, WebhookEvent.CANCELLED, WebhookEvent.BATCH_COMPLETED)
    new = NewBatch("ann", batches.items(3), webhook=Target(URL, events))
    batch = harness.services.batch_creation.create(new, "correlation-1").batch
    harness.submit()
    harness.services.batch_control.cancel(batch.id)
    deliver(harness)
    [endpoint] = harness.services.webhooks.page("ann", batch.id, None, 9).endpoints
    told = [each.json for each in Receiver(harness, endpoint, "").sent]
    assert sorted(each["type"] for each in told) == sorted(
        ["image.accepted"] * 3 + ["image.cancelled"] * 3 + ["batch.completed"]
    )
    ids = {job.id for job in batches.requests(harness, batch)}
    assert {each["data"]["requestId"] for each in told if each["type"] != "batch.completed"} == ids
    accepted = next(each["data"] for each in told if each["type"] == "image.accepted")
    assert (accepted["status"], accepted["version"]) == ("accepted", 1)


def test_items_that_are_tried_again_are_accepted_once_more_and_no_others(harness: Harness) -> None:
    receiver = Receiver.create(harness, events=(WebhookEvent.ACCEPTED,))
    batch = batches.create(harness, count=3)
    finish(harness, batch, 1)
    harness.services.batch_retrying.retry(batch.id, status=Status.CANCELLED)
    deliver(harness)
    assert len(receiver.sent) == 4
    assert len({each.json["data"]["requestId"] for each in receiver.sent}) == 4


def test_a_user_without_webhooks_pays_no_statement(harness: Harness) -> None:
    Receiver.create(harness, user="ben")
    with recorded_statements("webhook_deliveries") as statements:
        complete(harness)
    assert [text for text, _ in statements if "INSERT" in text] == []
