"""Queries that run every few seconds or at every request use an index, however long the history is."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from functools import partial
from typing import Any

import pytest
from sqlalchemy import Index

from app.db import credentials, durations, holding, images, queue, reuse, webhook_claims
from app.db.batches import neglected
from app.db.jobs import Job
from app.db.tables import jobs as table
from app.domain.batches import BatchItem, ItemEdit
from app.domain.fair_queueing import Priority
from app.domain.idempotency import OwnedKey
from app.domain.image_request import CacheMode, ImageRequest
from app.domain.pauses import EVERYTHING
from app.domain.states import FINAL, Status
from app.services.idempotency import AlreadyAnswered, KeyedRequest
from app.services.lookup import JobDetails
from tests.support import batches
from tests.support.batches import create
from tests.support.harness import Harness
from tests.support.statements import recorded_statements
from tests.support.webhooks import Receiver, deliver


def of_open_jobs(index: Index) -> bool:
    """True for an index that omits ended jobs: a scan of it takes no longer as the history grows."""
    where = index.dialect_options["sqlite"]["where"]
    return where is not None and not any(status in str(where) for status in FINAL)


OPEN_ONLY = {index.name for index in table.indexes if of_open_jobs(index)} - {"ix_jobs_identical", "ix_jobs_remove_at"}

pytestmark = pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)


def plans(harness: Harness, statements: list[tuple[str, Any]]) -> dict[str, list[str]]:
    """SQLite's plan of each statement."""

    def explain(statement: str, values: Any) -> list[str]:
        return harness.bench.database.read(
            lambda c: [row[3] for row in c.exec_driver_sql(f"EXPLAIN QUERY PLAN {statement}", values)]
        )

    return {statement: explain(statement, values) for statement, values in dict.fromkeys(statements)}


def busy(harness: Harness) -> None:
    """Add one of each thing that the sweeps look for."""
    holder = harness.connect("e1", max_concurrent=9)
    harness.connect("e2", max_concurrent=9, hub="hub-2")
    given_back, failed, delivered = harness.submit_and_start(), harness.submit_and_start(), harness.submit_and_start()
    harness.report_image(
        holder if delivered.holder == "e1" else harness.connect("e2", number=2, hub="hub-2"), delivered
    )
    harness.expire_lease(given_back)
    harness.update_job(failed, deadline_at=1)
    harness.update_job(harness.submit(), queued_at=1)
    harness.update_job(harness.submit(), due_at=2**53)
    harness.leave_unserved(harness.submit(model="unserved-model"))
    harness.expire_hub("hub-2")
    harness.bench.database.write(lambda tx: tx.connection.exec_driver_sql("UPDATE sweeps SET at = 1"))


def caught_up(harness: Harness) -> None:
    with harness.services.watching.watch(harness.submit().id):
        harness.services.watching.catch_up()


def under_quotas(harness: Harness) -> None:
    every = {"quota_waiting": 1000, "quota_per_day": 1000, "quota_stored_bytes": 10**9}
    limits = dataclasses.replace(harness.services.settings.limits, **every)
    harness.with_settings(limits=limits).submit()


def followed(harness: Harness) -> None:
    for leader, follower in ((harness.submit("bob"), harness.submit("bob", cache=CacheMode.PREFER)) for _ in range(2)):
        assert follower.follows == leader.id
        harness.services.cancellation.cancel(leader.id)
    harness.services.reuse.resolve_all()


def paused_and_resumed(harness: Harness) -> None:
    harness.services.queue_controls.pause(EVERYTHING)
    harness.services.queue_controls.resume(EVERYTHING)


QUERIES: dict[str, Callable[[Harness], object]] = {
    "the sweep": lambda harness: harness.services.housekeeping.sweep(),
    "the hand-off": lambda harness: harness.assign(),
    "a download": lambda harness: harness.services.download.run(),
    "an order": lambda harness: harness.submit(),
    "an order under every quota": under_quotas,
    "an order that may be cached": lambda harness: harness.submit(cache=CacheMode.PREFER),
    "resolving followers": followed,
    "a connection": lambda harness: harness.connect("e1", number=3),
    "a heartbeat": lambda harness: harness.heartbeat(harness.connect("e1", number=4), active_requests=9),
    "a broken socket": lambda harness: harness.services.extensions.disconnected(
        harness.connect("e1", number=5).connection_id
    ),
    "how one stands that waits": lambda harness: harness.services.lookup.status(harness.submit().id),
    "a user's list": lambda harness: harness.services.lookup.page("ann", None, None, 20),
    "a user's list of one status": lambda harness: harness.services.lookup.page("ann", Status.ACCEPTED, None, 20),
    "what a batch has to follow": lambda harness: harness.bench.database.write(
        lambda tx: holding.following_of_batch(tx, "b", 9)
    ),
    "catching up": caught_up,
    "the state of the queue": lambda harness: harness.services.queue_status.overview(),
    "the end of a pause": paused_and_resumed,
    "removing pictures": lambda harness: harness.services.removal.sweep(),
}


@pytest.mark.parametrize("question", list(QUERIES))
def test_no_query_reads_all_jobs(harness: Harness, question: str) -> None:
    harness.services.housekeeping.sweep()
    busy(harness)
    with recorded_statements("jobs") as statements:
        QUERIES[question](harness)
    statements = [each for each in statements if not each[0].startswith("INSERT")]
    assert statements
    for statement, plan in plans(harness, statements).items():
        scans = [step for step in plan if step.startswith("SCAN") and "jobs" in step]
        assert [step for step in scans if step.rpartition(" ")[2] not in OPEN_ONLY] == [], f"{statement}\n{plan}"


def test_the_last_durations_of_a_model_are_the_end_of_its_part_of_an_index(harness: Harness) -> None:
    with recorded_statements("finished_at") as statements:
        harness.bench.database.read(lambda c: durations.measured(c, "flux"))
    [statement] = statements
    in_order(harness, statement)
    [plan] = plans(harness, [statement]).values()
    assert plan == ["SEARCH jobs USING INDEX ix_jobs_completed (<expr>=?)"]


def test_the_oldest_request_of_each_queue_is_the_first_of_an_index(harness: Harness) -> None:
    harness.submit()
    with recorded_statements("depths") as statements:
        harness.bench.database.read(queue.depths)
    [plan] = plans(harness, statements).values()
    read = [step.replace("COVERING ", "") for step in plan if " jobs " in step]
    assert read == [
        "SCAN jobs USING INDEX ix_jobs_queue",
        "SEARCH jobs USING INDEX ix_jobs_waiting_since (<expr>=?)",
    ]


def test_what_is_due_to_be_removed_is_the_beginning_of_an_index(harness: Harness) -> None:
    with recorded_statements("remove_at <=") as statements:
        harness.services.removal.sweep()
    [plan] = plans(harness, statements).values()
    assert plan == ["SEARCH jobs USING INDEX ix_jobs_remove_at (remove_at>? AND remove_at<?)"]


def test_a_claim_reads_due_downloads_in_their_order_and_running_ones_by_their_index(harness: Harness) -> None:
    with recorded_statements("FROM jobs") as statements:
        harness.services.download.run()
    [plan] = plans(harness, statements).values()
    read = {step.partition(" (")[0] for step in plan if "jobs" in step}
    assert read == {"SEARCH jobs USING INDEX ix_jobs_download_due", "SCAN jobs USING INDEX ix_jobs_download_running"}
    assert "USE TEMP B-TREE FOR ORDER BY" not in plan


def test_whether_others_pictures_were_fetched_is_read_from_the_newest_pictures(harness: Harness) -> None:
    with recorded_statements("FROM jobs JOIN") as statements:
        harness.bench.database.read(lambda c: images.any_fetched(c, 0, not_of="e1"))
    [plan] = plans(harness, statements).values()
    assert "SCAN images USING INDEX sqlite_autoindex_images_1" in plan
    assert not [step for step in plan if "TEMP B-TREE" in step or step.startswith("SCAN jobs")], plan


def test_recently_ended_jobs_are_found_by_an_index(harness: Harness) -> None:
    with recorded_statements("revoked_tokens") as statements:
        harness.bench.database.read(lambda c: credentials.ended_within(c, 60_000))
    [plan] = plans(harness, statements).values()
    tables = ("users", "api_keys", "revoked_tokens", "extension_tokens")
    assert [step for step in plan if step.startswith(tuple(f"SCAN {table}" for table in tables))] == [], plan
    assert sum(step.startswith("SEARCH") for step in plan) == len(tables), plan


def test_keys_of_submissions_are_found_by_their_indexes(harness: Harness) -> None:
    request: KeyedRequest[JobDetails[Job]] = KeyedRequest(
        OwnedKey("ann", "generate", "key"), "0", lambda made: made.job.id, 1_000
    )
    submit = partial(harness.services.submission.submit, ImageRequest("a fox", user_id="ann"), "correlation-1", request)
    with recorded_statements("idempotency_keys") as statements:
        with harness.services.idempotency.one_at_a_time(request):
            submit()
        with pytest.raises(AlreadyAnswered):
            submit()
        harness.services.cleanup.sweep()
    found = {step for plan in plans(harness, statements).values() for step in plan if "idempotency_keys" in step}
    assert found == {
        "SEARCH idempotency_keys USING PRIMARY KEY (owner=? AND operation=? AND key=?)",
        "SEARCH idempotency_keys USING COVERING INDEX ix_idempotency_keys_expires_at (expires_at<?)",
    }


@pytest.mark.parametrize("message", ["a heartbeat", "a broken socket"])
def test_no_message_of_an_extension_reads_the_whole_fleet(harness: Harness, message: str) -> None:
    busy(harness)
    harness.connect("e1", number=9)
    with recorded_statements("UPDATE extensions") as statements:
        QUERIES[message](harness)
    assert statements
    for statement, plan in plans(harness, statements).items():
        assert [step for step in plan if step.startswith("SCAN extensions")] == [], f"{statement}\n{plan}"


@pytest.mark.parametrize("status", [None, *Status])
@pytest.mark.parametrize("cursor", [None, "f" * 36])
def test_the_requests_of_all_users_are_read_in_the_order_of_an_index(
    harness: Harness, status: Status | None, cursor: str | None
) -> None:
    busy(harness)
    with recorded_statements("FROM jobs") as statements:
        harness.services.lookup.page(None, status, cursor, 20)
    in_order(harness, statements[0])


@pytest.mark.parametrize("connected", [None, True, False])
@pytest.mark.parametrize("cursor", [None, "e"])
def test_extensions_are_read_in_the_order_of_an_index(
    harness: Harness, connected: bool | None, cursor: str | None
) -> None:
    busy(harness)
    with recorded_statements("FROM extensions") as statements:
        harness.services.fleet.page(connected, cursor, 20)
    in_order(harness, statements[0])


@pytest.mark.parametrize("shared", [None, True, False])
@pytest.mark.parametrize("cursor", [None, "m"])
def test_styles_are_read_in_the_order_of_an_index(harness: Harness, shared: bool | None, cursor: str | None) -> None:
    with recorded_statements("FROM styles") as statements:
        harness.services.styles.page("ann", cursor, 20, shared=shared)
    assert statements
    for statement in statements:
        in_order(harness, statement)


def test_identical_requests_and_followers_are_read_in_the_order_of_an_index(harness: Harness) -> None:
    with recorded_statements("LIMIT") as statements:
        followed(harness)
    reads = [
        each for each in statements if "fingerprint = ?" in each[0] or "follows = ?" in each[0] or "followed" in each[0]
    ]
    read = [each for each in reads if each[0].startswith("SELECT") and "any_model" not in each[0].partition("FROM")[2]]
    assert len({text for text, _ in read}) >= 4
    for statement in read:
        in_order(harness, statement)


def test_what_is_completed_for_a_batch_is_found_by_fingerprint(harness: Harness) -> None:
    with recorded_statements("fingerprint") as statements:
        harness.bench.database.read(lambda c: reuse.newest_completed(c, "ann", ["a", "b"]))
    [plan] = plans(harness, statements).values()
    assert plan == ["SEARCH jobs USING INDEX ix_jobs_identical (user_id=? AND fingerprint=? AND finished_at>?)"]


def test_the_style_of_a_request_is_found_by_its_name_alone(harness: Harness) -> None:
    with recorded_statements("FROM styles") as statements:
        harness.submit(style="noir")
    [plan] = plans(harness, statements).values()
    read = [step for step in plan if "styles" in step]
    assert len(read) == 2
    assert all(step.startswith("SEARCH styles USING INDEX ix_styles_") and "<expr>=?" in step for step in read), plan


@pytest.mark.parametrize(
    ("find", "name", "index"),
    [
        (holding.waiting_of_user, "ann", "ix_jobs_queue_of_user (user_id=?)"),
        (holding.held_of_user, "ann", "ix_jobs_held_of_user (user_id=? AND batch_id=?)"),
        (holding.waiting_of_batch, "b", "ix_jobs_released_of_batch (batch_id=? AND status=?)"),
        (holding.held_of_batch, "b", "ix_jobs_held_of_batch (batch_id=?)"),
    ],
)
def test_what_is_held_or_released_is_found_in_its_order_by_an_index(
    harness: Harness, find: Callable[..., object], name: str, index: str
) -> None:
    with recorded_statements("FROM jobs") as statements:
        harness.bench.database.write(lambda tx: find(tx, name, 9))
    [plan] = plans(harness, statements).values()
    assert plan == [f"SEARCH jobs USING INDEX {index}"]


BATCH_QUERIES: dict[str, Callable[[Harness, str], object]] = {
    "its details": lambda harness, batch: harness.services.batch_lookup.details(batch),
    "its items": lambda harness, batch: harness.services.batch_lookup.items(batch, None, 1, 9),
    "its items of one status": lambda harness, batch: harness.services.batch_lookup.items(batch, Status.FAILED, 1, 9),
    "its events": lambda harness, batch: harness.services.batch_lookup.events_after(batch, 0),
    "a user's batches": lambda harness, _: harness.services.batch_lookup.page("ann", "f", 9),
    "all batches": lambda harness, _: harness.services.batch_lookup.page(None, "f", 9),
    "the sweep": lambda harness, _: harness.bench.database.read(lambda c: neglected(c, 9)),
    "the end of an item": lambda harness, batch: harness.services.cancellation.cancel(
        harness.services.batch_lookup.items(batch, Status.ACCEPTED, 0, 1).items[0].id
    ),
    "a pause": lambda harness, batch: harness.services.batch_control.pause(batch),
    "a retry": lambda harness, batch: harness.services.batch_retrying.retry(
        batch, Status.CANCELLED, [ItemEdit(index=1), ItemEdit(custom_id="p2")]
    ),
    "more items": lambda harness, batch: harness.services.batch_creation.add(batch, [BatchItem("a fox", "new")]),
    "a change of its priority": lambda harness, batch: harness.services.batch_control.change(
        batch, priority=Priority.LOW
    ),
}


@pytest.mark.parametrize("question", list(BATCH_QUERIES))
def test_what_batches_ask_is_answered_by_indexes(harness: Harness, question: str) -> None:
    batch = create(harness, 5, concurrency=2)
    for item in harness.services.batch_lookup.items(batch.id, None, 0, 2).items:
        harness.services.cancellation.cancel(item.id)
    with recorded_statements("batch") as statements:
        BATCH_QUERIES[question](harness, batch.id)
    statements = [each for each in statements if not each[0].startswith("INSERT") and not isinstance(each[1], list)]
    assert statements
    for statement, plan in plans(harness, statements).items():
        scans = [step for step in plan if step.startswith("SCAN") and any(name in step for name in ("jobs", "batch"))]
        ordered = {"SCAN batches", "SCAN batches USING INDEX ix_batches_open"}
        assert [step for step in scans if step not in ordered] == [], f"{statement}\n{plan}"
        assert not [step for step in plan if "TEMP B-TREE" in step], f"{statement}\n{plan}"


def in_order(harness: Harness, statement: tuple[str, Any]) -> None:
    """Assert that the statement scans an index up to its limit and sorts no rows."""
    [plan] = plans(harness, [statement]).values()
    tables = [step for step in plan if step.startswith(("SCAN", "SEARCH"))]
    assert "LIMIT" in statement[0]
    assert tables
    assert all(" INDEX " in step for step in tables), plan
    assert not [step for step in plan if "TEMP B-TREE" in step], plan


def test_the_results_of_a_batch_are_read_in_their_order(harness: Harness) -> None:
    batch = batches.create(harness, 3)
    harness.update_job(batches.requests(harness, batch)[0], status=Status.COMPLETED, held_since=None)
    with recorded_statements("") as statements:
        assert len(list(harness.services.batch_results.items(batch.id))) == 3
    items, pictures = plans(harness, statements).values()
    assert items == ["SEARCH jobs USING INDEX ix_jobs_batch (batch_id=? AND batch_index>?)"]
    assert pictures == ["SEARCH images USING INDEX sqlite_autoindex_images_1 (job_id=?)"]


def test_deliveries_to_webhooks_are_read_by_their_indexes(harness: Harness) -> None:
    receiver = Receiver.create(harness)
    harness.services.cancellation.cancel(harness.submit().id)
    harness.services.webhooks.test("ann", receiver.endpoint.id)
    with recorded_statements("webhook_") as statements:
        deliver(harness)
        harness.bench.database.read(webhook_claims.any_due)
        harness.services.cleanup.sweep()
        harness.submit()
        for status in (None, "failed"):
            harness.services.webhooks.deliveries("ann", receiver.endpoint.id, status, 1_000, 20)
        harness.services.webhooks.redeliver_failed("ann", receiver.endpoint.id, 0)
        harness.services.webhooks.page("ann", None, "a", 20)
    assert len(receiver.sent) == 3
    for statement, plan in plans(harness, statements).items():
        read = [step for step in plan if "webhook_" in step or step.startswith("SEARCH w ")]
        assert [step for step in read if step.startswith("SCAN") and "INDEX" not in step] == [], f"{statement}\n{plan}"
        assert not [step for step in plan if "TEMP B-TREE FOR ORDER BY" in step], f"{statement}\n{plan}"
