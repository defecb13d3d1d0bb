"""Quotas of a user, on both databases, also with concurrent requests."""

from __future__ import annotations

import dataclasses
import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from typing import Any

import pytest

from app.db.engine import Database, Transaction
from app.db.jobs import Job
from app.domain.errors import QuotaExceeded
from tests.support.downloads import URL
from tests.support.harness import Harness
from tests.support.image_samples import png
from tests.support.waiting import until

DAY_MS = 86_400_000


def limited(harness: Harness, **limits: Any) -> Harness:
    return harness.with_settings(limits=dataclasses.replace(harness.services.settings.limits, **limits))


def taken(order: Callable[[], Job]) -> bool:
    try:
        order()
    except QuotaExceeded:
        return False
    return True


def test_the_number_of_waiting_requests_per_user_is_limited(harness: Harness) -> None:
    harness = limited(harness, quota_waiting=3)
    jobs = [harness.submit("ann") for _ in range(3)]
    with pytest.raises(QuotaExceeded, match="QUOTA_WAITING") as caught:
        harness.submit("ann")
    assert (caught.value.status, caught.value.code) == (429, "ERR_QUOTA_EXCEEDED")
    assert caught.value.retry_after_s
    harness.submit("bob")
    harness.services.cancellation.cancel(jobs[0].id)
    harness.submit("ann")


def test_an_assigned_request_does_not_count_as_waiting(harness: Harness) -> None:
    harness = limited(harness, quota_waiting=1)
    harness.connect()
    harness.submit_and_start(user="ann")
    harness.submit("ann")
    assert not taken(lambda: harness.submit("ann"))


def test_a_cancelled_request_does_not_count_as_waiting(harness: Harness) -> None:
    harness = limited(harness, quota_waiting=3)
    jobs = [harness.submit("ann") for _ in range(3)]
    harness.services.cancellation.cancel(jobs[1].id)
    assert [taken(lambda: harness.submit("ann")) for _ in range(2)] == [True, False]


def test_a_requeued_request_counts_as_waiting(harness: Harness) -> None:
    harness = limited(harness, quota_waiting=3)
    harness.connect()
    begun = harness.submit_and_start(user="ann")
    harness.submit("ann")
    harness.expire_lease(begun)
    harness.sweep()
    assert [taken(lambda: harness.submit("ann")) for _ in range(2)] == [True, False]


def test_requests_without_a_number_count(harness: Harness) -> None:
    harness = limited(harness, quota_waiting=3)
    for job in [harness.submit("ann") for _ in range(2)]:
        harness.update_job(job, number=0)
    assert [taken(lambda: harness.submit("ann")) for _ in range(2)] == [True, False]


@pytest.mark.parametrize("database_url", ["postgresql"], indirect=True)
def test_a_user_with_many_concurrent_submissions_does_not_occupy_all_connections(
    harness: Harness, database_url: str
) -> None:
    harness = limited(harness, quota_waiting=1000)
    database = harness.bench.database
    patient = Database(f"{database_url}&options=-c%20idle_in_transaction_session_timeout%3D0")
    go_on, counted = threading.Event(), threading.Event()

    def count_for_long(tx: Transaction) -> None:
        tx.lock("quota", "ann")
        counted.set()
        go_on.wait(60)

    def waits() -> bool:
        waiting = "SELECT count(*) FROM pg_locks WHERE locktype = 'advisory' AND NOT granted"
        return bool(database.read(lambda c: c.exec_driver_sql(waiting).scalar_one()))

    with closing(patient), ThreadPoolExecutor(41) as pool:
        other = pool.submit(patient.write, count_for_long)
        try:
            assert counted.wait(30)
            hers = [pool.submit(harness.submit, "ann") for _ in range(40)]
            until(waits, what="one of ann's requests to wait")
            assert harness.submit("bob").user_id == "bob"
        finally:
            go_on.set()
        other.result(60)
        assert len({each.result(60).id for each in hers}) == 40


@pytest.mark.parametrize("quota", ["quota_waiting", "quota_per_day"])
def test_concurrent_requests_do_not_exceed_the_limit(harness: Harness, quota: str) -> None:
    harness = limited(harness, **{quota: 5})
    with ThreadPoolExecutor(8) as pool:
        results = list(pool.map(lambda n: taken(lambda: harness.submit(f"user-{n % 2}")), range(40)))
    assert results.count(True) == 10


def test_the_number_of_submissions_per_day_is_limited(harness: Harness) -> None:
    harness = limited(harness, quota_per_day=2)
    first = harness.submit("ann")
    harness.services.cancellation.cancel(first.id)
    harness.submit("ann")
    with pytest.raises(QuotaExceeded, match="QUOTA_PER_DAY") as caught:
        harness.submit("ann")
    assert caught.value.retry_after_s == pytest.approx(DAY_MS / 1000, abs=60)
    harness.submit("bob")


def test_submissions_count_for_one_day(harness: Harness) -> None:
    harness = limited(harness, quota_per_day=1)
    yesterday = harness.submit("ann")
    from_then = f"{yesterday.created_at - DAY_MS:012x}"
    old_id = f"{from_then[:8]}-{from_then[8:]}{yesterday.id[13:]}"
    statement = "UPDATE jobs SET id = '{}', created_at = created_at - {} WHERE id = '{}'"
    harness.bench.database.write(lambda tx: tx.connection.exec_driver_sql("DELETE FROM events"))
    harness.bench.database.write(
        lambda tx: tx.connection.exec_driver_sql(statement.format(old_id, DAY_MS, yesterday.id))
    )
    harness.submit("ann")


def test_the_number_of_stored_bytes_per_user_is_limited(harness: Harness) -> None:
    harness.bench.fetch.answers[URL] = png(8, 8)
    holder = harness.connect()
    job = harness.submit_and_start(user="ann")
    harness.bench.fetch.answers["https://images.example/a.png"] = png(8, 8)
    harness.report_image(holder, job)
    harness.services.download.run()
    stored = sum(image.bytes for image in harness.services.lookup.details(job.id).images)
    assert stored > 0
    limited(harness, quota_stored_bytes=stored + 1).submit("ann")
    with pytest.raises(QuotaExceeded, match=f"{stored} of {stored} bytes"):
        limited(harness, quota_stored_bytes=stored).submit("ann")
    limited(harness, quota_stored_bytes=stored).submit("bob")


def test_without_quotas_every_request_is_accepted(harness: Harness) -> None:
    harness = limited(harness, quota_waiting=0, quota_per_day=0, quota_stored_bytes=0)
    assert all(taken(lambda: harness.submit("ann")) for _ in range(5))
