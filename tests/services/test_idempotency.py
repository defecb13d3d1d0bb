"""Submissions with an Idempotency-Key are done once, on both databases, also if they are sent at the same time."""

from __future__ import annotations

import dataclasses
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from typing import Any

import pytest
from sqlalchemy import func, select

from app.db import idempotency
from app.db.engine import Transaction
from app.db.idempotency import StoredAnswer
from app.db.jobs import Job
from app.db.tables import idempotency_keys, jobs
from app.domain.errors import IdempotencyKeyReused, QuotaExceeded
from app.domain.idempotency import OwnedKey, body_hash
from app.domain.image_request import ImageRequest
from app.services.cleanup import KEYS
from app.services.idempotency import AlreadyAnswered, KeyedRequest
from app.services.idempotency import claim as claim_in
from app.services.idempotency import keep as keep_in
from app.services.lookup import JobDetails
from tests.support.harness import Harness
from tests.support.interleaving import on_postgresql, overlapping

DAY_MS = 86_400_000
COPIES = 64


def answer_of(made: JobDetails[Job]) -> str:
    return f'{{"requestId":"{made.job.id}"}}'


def keyed(
    key: str = "key-1",
    prompt: str = "a fox",
    user: str = "ann",
    operation: str = "generate",
    lifetime_ms: int | None = DAY_MS,
) -> KeyedRequest[JobDetails[Job]]:
    return KeyedRequest(OwnedKey(user, operation, key), body_hash({"prompt": prompt}), answer_of, lifetime_ms)


def submit(harness: Harness, request: KeyedRequest[JobDetails[Job]]) -> str:
    """Submit as the web does it; returns the body that the client gets."""
    order = ImageRequest("a fox", user_id=request.key.owner)
    try:
        return answer_of(harness.services.submission.submit(order, "correlation-1", request))
    except AlreadyAnswered as repetition:
        return repetition.answer.body


def count(harness: Harness, table: Any = jobs) -> int:
    return harness.bench.database.read(lambda c: c.execute(select(func.count()).select_from(table)).scalar_one())


def set_expiry(harness: Harness, at: int) -> None:
    harness.bench.database.write(lambda tx: tx.connection.execute(idempotency_keys.update().values(expires_at=at)))


def test_a_repetition_gets_the_same_answer_and_makes_nothing(harness: Harness) -> None:
    first = harness.services.submission.submit(ImageRequest("a fox", user_id="ann"), "correlation-1", keyed())
    with pytest.raises(AlreadyAnswered) as caught:
        harness.services.submission.submit(ImageRequest("a fox", user_id="ann"), "correlation-2", keyed())
    assert caught.value.answer == StoredAnswer(keyed().body_hash, 200, answer_of(first))
    assert (count(harness), count(harness, idempotency_keys)) == (1, 1)
    assert harness.event_types(first.job) == ["ImageGenerationRequestedEvent"]
    row = harness.bench.database.read(lambda c: c.execute(select(idempotency_keys)).one())
    assert (row.owner, row.operation, row.key, row.result_id) == ("ann", "generate", "key-1", first.job.id)
    assert row.expires_at - row.created_at == DAY_MS


def test_a_repetition_is_found_before_all_limits(harness: Harness) -> None:
    first = submit(harness, keyed())
    with pytest.raises(AlreadyAnswered) as caught, harness.services.idempotency.one_at_a_time(keyed()):
        raise AssertionError("it was not found")
    assert caught.value.answer.body == first


def test_a_key_with_another_body_is_refused(harness: Harness) -> None:
    submit(harness, keyed())
    other = keyed(prompt="two foxes")
    with pytest.raises(IdempotencyKeyReused) as caught:
        submit(harness, other)
    assert (caught.value.status, caught.value.code) == (422, "ERR_IDEMPOTENCY_KEY_REUSED")
    with pytest.raises(IdempotencyKeyReused), harness.services.idempotency.one_at_a_time(other):
        raise AssertionError("it was not found")
    assert count(harness) == 1


def test_the_key_of_another_user_or_operation_is_another_one(harness: Harness) -> None:
    requests = [keyed(), keyed("Key-1"), keyed(user="bob"), keyed(operation="batches"), keyed("key-2")]
    assert len({submit(harness, request) for request in requests}) == 5
    assert [submit(harness, request) for request in requests] == [submit(harness, request) for request in requests]
    assert count(harness) == 5


def test_a_refused_request_leaves_its_key_free(harness: Harness) -> None:
    limits = dataclasses.replace(harness.services.settings.limits, quota_waiting=1)
    full = harness.with_settings(limits=limits)
    first = full.submit("ann")
    with pytest.raises(QuotaExceeded):
        submit(full, keyed())
    assert count(harness, idempotency_keys) == 0
    harness.services.cancellation.cancel(first.id)
    accepted = submit(full, keyed())
    assert submit(full, keyed()) == accepted  # although the quota is used up again


def test_an_expired_key_may_be_used_again_with_another_body(harness: Harness) -> None:
    first = submit(harness, keyed())
    set_expiry(harness, harness.now())
    other = keyed(prompt="two foxes")
    with harness.services.idempotency.one_at_a_time(other):
        second = submit(harness, other)
    assert second != first
    assert submit(harness, other) == second
    with pytest.raises(IdempotencyKeyReused):
        submit(harness, keyed())
    assert (count(harness), count(harness, idempotency_keys)) == (2, 1)


def test_a_key_that_expires_is_good_until_then(harness: Harness) -> None:
    first = submit(harness, keyed())
    set_expiry(harness, harness.now() + 60_000)
    assert submit(harness, keyed()) == first


def test_a_key_without_an_end_is_kept_as_long_as_what_it_made(harness: Harness) -> None:
    first = submit(harness, keyed(lifetime_ms=None))
    assert harness.services.cleanup.sweep(harness.now() + 10_000 * DAY_MS) == 0
    assert submit(harness, keyed(lifetime_ms=None)) == first


@pytest.mark.parametrize("quota_waiting", [1000, 0], ids=["with quotas", "without quotas"])
def test_copies_sent_at_the_same_time_make_one_request_and_get_the_same_answer(
    harness: Harness, quota_waiting: int
) -> None:
    limits = dataclasses.replace(harness.services.settings.limits, quota_waiting=quota_waiting)
    harness = harness.with_settings(limits=limits)
    with ThreadPoolExecutor(COPIES) as pool:
        answers = set(pool.map(lambda _: submit(harness, keyed()), range(COPIES)))
    assert len(answers) == 1
    assert (count(harness), count(harness, idempotency_keys)) == (1, 1)


def test_copies_of_an_expired_key_make_one_request(harness: Harness) -> None:
    first = submit(harness, keyed())
    set_expiry(harness, 1)
    with ThreadPoolExecutor(16) as pool:
        [second] = set(pool.map(lambda _: submit(harness, keyed()), range(16)))
    assert second != first
    assert (count(harness), count(harness, idempotency_keys)) == (2, 1)


def begun(harness: Harness, tx: Transaction) -> str:
    """What another process does up to its commit; the job is left out."""
    claim_in(tx, keyed())
    made = JobDetails(harness.submit("bob"))
    keep_in(tx, keyed(), made, made.job.id)
    return answer_of(made)


@on_postgresql
def test_a_copy_waits_for_the_answer_of_another_process(harness: Harness) -> None:
    first, second = overlapping(harness.bench.database, partial(begun, harness), lambda: submit(harness, keyed()))
    assert first == second


@on_postgresql
def test_a_copy_is_accepted_if_the_one_before_it_fails(harness: Harness) -> None:
    class Broken(Exception):
        pass

    def fail(_: Transaction) -> None:
        raise Broken

    accepted: list[str] = []
    with pytest.raises(Broken):
        overlapping(
            harness.bench.database,
            partial(begun, harness),
            lambda: accepted.append(submit(harness, keyed())),
            then=fail,
        )
    assert [submit(harness, keyed())] == accepted


def test_only_expired_keys_are_removed(harness: Harness) -> None:
    submit(harness, keyed("old"))
    set_expiry(harness, harness.now() - 1)
    first = submit(harness, keyed("new"))
    assert harness.services.cleanup.sweep() == 1
    assert harness.services.cleanup.sweep() == 0
    assert submit(harness, keyed("new")) == first
    assert (count(harness), count(harness, idempotency_keys)) == (2, 1)


def test_a_sweep_of_expired_keys_is_bounded_and_the_next_one_continues(harness: Harness) -> None:
    common = {"owner": "ann", "operation": "generate", "body_hash": "0", "created_at": 1, "expires_at": 2}
    rows = [{**common, "key": f"key-{n}"} for n in range(KEYS + 10)]
    harness.bench.database.write(lambda tx: tx.connection.execute(idempotency_keys.insert(), rows))
    assert [harness.services.cleanup.sweep() for _ in range(3)] == [KEYS, 10, 0]


@on_postgresql
def test_a_key_that_is_used_again_during_a_sweep_is_kept(harness: Harness) -> None:
    submit(harness, keyed())
    set_expiry(harness, 1)

    def sweep() -> int:
        return harness.bench.database.write(lambda tx: idempotency.remove_expired(tx, tx.now, 10))

    second, removed = overlapping(harness.bench.database, partial(begun, harness), sweep)
    assert removed == 0
    assert submit(harness, keyed()) == second
