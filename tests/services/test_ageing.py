"""Requests that have waited for long move to a better class, one of each user at a time."""

from __future__ import annotations

from app.db.jobs import Job
from app.domain.fair_queueing import Priority
from tests.support.harness import HOUR, Harness


def waited(harness: Harness, job: Job, ages: float) -> None:
    """Let the job wait for that many times QUEUE_AGE_MS, and the next sweep look for such jobs."""
    harness.update_job(job, queued_at=harness.now() - int(ages * HOUR))
    harness.bench.database.write(lambda tx: tx.connection.exec_driver_sql("DELETE FROM sweeps WHERE name = 'ageing'"))


def classes(harness: Harness, *jobs: Job) -> list[int]:
    harness.sweep()
    return [harness.reload(job).priority for job in jobs]


def test_a_request_rises_by_one_class_for_each_time_that_it_has_waited(harness: Harness) -> None:
    job = harness.submit(priority=Priority.LOW)
    for ages, expected in ((0.9, Priority.LOW), (1.1, Priority.NORMAL), (1.9, Priority.NORMAL), (2.1, Priority.HIGH)):
        waited(harness, job, ages)
        assert classes(harness, job) == [expected]
    waited(harness, job, 9)
    assert classes(harness, job) == [Priority.HIGH]


def test_only_the_oldest_request_of_each_user_rises(harness: Harness) -> None:
    jobs = [harness.submit(user, priority=Priority.LOW) for user in ("ann", "ann", "bob")]
    for job, ages in zip(jobs, (1.2, 1.1, 1.05), strict=True):
        waited(harness, job, ages)
    assert classes(harness, *jobs) == [Priority.NORMAL, Priority.LOW, Priority.NORMAL]
    waited(harness, jobs[1], 1.3)
    assert classes(harness, *jobs) == [Priority.NORMAL, Priority.LOW, Priority.NORMAL], "ann has one that rose already"
    harness.services.cancellation.cancel(jobs[0].id)
    waited(harness, jobs[1], 1.3)
    assert classes(harness, jobs[1]) == [Priority.NORMAL]


def test_idle_and_held_requests_do_not_rise(harness: Harness) -> None:
    idle, held = harness.submit(priority=Priority.IDLE), harness.submit("bob", priority=Priority.LOW)
    harness.update_job(held, held_since=1)
    for job in (idle, held):
        waited(harness, job, 5)
    assert classes(harness, idle, held) == [Priority.IDLE, Priority.LOW]


def test_a_request_that_rose_stands_behind_its_users_others_in_the_new_class(harness: Harness) -> None:
    rose = harness.submit("ann", priority=Priority.LOW)
    first, other = harness.submit("ann"), harness.submit("bob")
    waited(harness, rose, 1.1)
    assert classes(harness, rose) == [Priority.NORMAL]
    assert harness.reload(rose).virtual_start > first.virtual_start == other.virtual_start


def test_requests_are_looked_at_a_hundred_times_during_the_time_at_most(harness: Harness) -> None:
    job = harness.submit(priority=Priority.LOW)
    harness.sweep()
    harness.update_job(job, queued_at=harness.now() - HOUR - 1_000)
    assert classes(harness, job) == [Priority.LOW]
