"""Calls that a client repeats by itself, without a key: a repeat joins the open request that the call made."""

from __future__ import annotations

import dataclasses
from concurrent.futures import ThreadPoolExecutor

import pytest
from sqlalchemy import func, select

from app.db.tables import idempotency_keys, jobs
from app.domain.errors import QuotaExceeded
from app.domain.idempotency import body_hash
from app.domain.image_request import ImageRequest
from app.services.repeats import Joined, RepeatableCall
from tests.support.harness import Harness

LIFETIME_MS = 3_600_000
COPIES = 32


def call_of(user: str = "ann", prompt: str = "a fox", *, repeat: bool = False) -> RepeatableCall:
    return RepeatableCall.of(user, "test", body_hash({"prompt": prompt}), LIFETIME_MS, repeat=repeat)


def submit(harness: Harness, call: RepeatableCall) -> str:
    """Submit as the web does it; returns the id of the request that the client waits for."""
    try:
        harness.services.repeats.check(call)
        order = ImageRequest("a fox", user_id=call.key.owner)
        return harness.services.submission.submit(order, "correlation-1", call).job.id
    except Joined as joined:
        return joined.request_id


def count(harness: Harness) -> int:
    return harness.bench.database.read(lambda c: c.execute(select(func.count()).select_from(jobs)).scalar_one())


def test_a_repeat_joins_the_open_request(harness: Harness) -> None:
    first = submit(harness, call_of())
    assert [submit(harness, call_of(repeat=True)) for _ in range(2)] == [first, first]
    assert count(harness) == 1


def test_first_calls_make_a_request_each_and_repeats_join_the_last(harness: Harness) -> None:
    first, second = submit(harness, call_of()), submit(harness, call_of())
    assert first != second
    assert submit(harness, call_of(repeat=True)) == second


@pytest.mark.parametrize("other", [{"user": "bob"}, {"prompt": "two foxes"}], ids=str)
def test_a_repeat_of_another_call_joins_nothing(harness: Harness, other: dict[str, str]) -> None:
    first = submit(harness, call_of())
    assert submit(harness, call_of(**other, repeat=True)) != first


def test_a_repeat_of_a_call_that_never_arrived_makes_a_request(harness: Harness) -> None:
    made = submit(harness, call_of(repeat=True))
    assert submit(harness, call_of(repeat=True)) == made


def test_a_repeat_after_the_end_makes_a_request_and_later_ones_join_it(harness: Harness) -> None:
    first = submit(harness, call_of())
    harness.services.cancellation.cancel(first)
    second = submit(harness, call_of(repeat=True))
    assert second != first
    assert submit(harness, call_of(repeat=True)) == second


def test_a_repeat_that_comes_too_late_makes_a_request(harness: Harness) -> None:
    first = submit(harness, call_of())
    expired = idempotency_keys.update().values(expires_at=1)
    harness.bench.database.write(lambda tx: tx.connection.execute(expired))
    second = submit(harness, call_of(repeat=True))
    assert second != first
    assert submit(harness, call_of(repeat=True)) == second


@pytest.mark.parametrize("before", ["nothing", "an open request", "a finished request"])
def test_repeats_at_the_same_time_make_one_request_at_most(harness: Harness, before: str) -> None:
    known = None if before == "nothing" else submit(harness, call_of())
    if before == "a finished request":
        harness.services.cancellation.cancel(str(known))
    with ThreadPoolExecutor(COPIES) as pool:
        joined = set(pool.map(lambda _: submit(harness, call_of(repeat=True)), range(COPIES)))
    assert len(joined) == 1
    assert (known in joined) == (before == "an open request")
    assert count(harness) == {"nothing": 1, "an open request": 1, "a finished request": 2}[before]


def test_first_calls_at_the_same_time_make_a_request_each(harness: Harness) -> None:
    with ThreadPoolExecutor(COPIES) as pool:
        made = set(pool.map(lambda _: submit(harness, call_of()), range(COPIES)))
    assert len(made) == COPIES == count(harness)
    assert submit(harness, call_of(repeat=True)) in made


def test_a_refused_call_leaves_nothing_to_join(harness: Harness) -> None:
    limits = dataclasses.replace(harness.services.settings.limits, quota_waiting=1)
    full = harness.with_settings(limits=limits)
    other = full.submit("ann")
    with pytest.raises(QuotaExceeded):
        submit(full, call_of())
    full.services.cancellation.cancel(other.id)
    assert submit(full, call_of(repeat=True)) != other.id
    assert count(full) == 2
