"""Leases: how long extensions hold their jobs."""

from __future__ import annotations

import uuid
from functools import partial
from typing import Any

from app.db import jobs, leases
from app.db.engine import Database, Transaction
from app.db.jobs import Job
from app.domain.states import Step


def held(database: Database, lease: str | None = "lease-1", **values: Any) -> Job:
    """Add a job that an extension holds."""
    order = {"correlation_id": "c-1", "user_id": "ann", "model": "m", "prompt": "a fox", "parameters": {}}
    holding = {"holder": "e1", "connection_id": "s1", "lease": lease, "lease_until": 2**45, "attempt_until": 2**50}

    def work(tx: Transaction) -> Job:
        job = jobs.add(tx, str(uuid.uuid4()), {**order, "number_of_images": 1})
        moved = jobs.move(tx, job.id, Step.ASSIGN, **{**holding, **values})
        assert moved is not None
        return moved

    return database.write(work)


def now(database: Database, job: Job) -> Job:
    found = database.read(lambda c: jobs.find(c, job.id))
    assert found is not None
    return found


def test_a_lease_is_renewed_for_its_holder(database: Database) -> None:
    mine, other = held(database, "lease-1"), held(database, "lease-2")
    renewed = database.write(lambda tx: leases.renew(tx, {mine.id: mine.lease, other.id: "another"}, 2**46))
    assert renewed == [mine.id]
    assert (now(database, mine).lease_until, now(database, mine).handed_over) == (2**46, True)
    assert now(database, other) == other


def test_a_lease_does_not_exceed_its_attempt(database: Database) -> None:
    job = held(database, attempt_until=2**41)
    database.write(lambda tx: leases.renew(tx, {job.id: job.lease}, 2**46))
    assert now(database, job).lease_until == 2**41


def test_without_jobs_nothing_is_renewed(database: Database) -> None:
    job = held(database, None)
    assert database.write(lambda tx: leases.renew(tx, {}, 2**46)) == []
    assert database.write(lambda tx: leases.renew(tx, {job.id: None}, 2**46)) == []


def test_a_job_that_is_no_longer_held_is_not_renewed(database: Database) -> None:
    job = held(database)
    database.write(lambda tx: jobs.move(tx, job.id, Step.CANCEL))
    assert database.write(lambda tx: leases.renew(tx, {job.id: job.lease}, 2**46)) == []


def test_leases_of_broken_connections_are_shortened_and_never_lengthened(database: Database) -> None:
    long, short, other = held(database), held(database, lease_until=5), held(database, connection_id="s2")
    database.write(lambda tx: leases.shorten(tx, ["s1", "s9"], 1_000))
    assert [now(database, job).lease_until for job in (long, short, other)] == [1_000, 5, 2**45]
    database.write(lambda tx: leases.shorten(tx, [], 1))


def test_expired_leases_are_found_oldest_first(database: Database) -> None:
    later, sooner, _ = held(database, lease_until=9), held(database, lease_until=5), held(database)
    assert database.read(lambda c: leases.expired(c, 10)) == [sooner, later]
    assert database.read(lambda c: leases.expired(c, 1)) == [sooner]


def test_the_jobs_of_an_extension_are_found(database: Database) -> None:
    mine, _ = held(database), held(database, holder="e2")
    assert database.read(lambda c: leases.held_by(c, "e1")) == [mine]


def test_a_receipt_extends_the_lease_but_not_beyond_the_attempt(database: Database) -> None:
    short, long = held(database, lease_until=1, attempt_until=2**41), held(database, lease_until=1)
    for job in (short, long):
        database.write(partial(leases.received, job_id=job.id, lease="lease-1", silent_ms=2**42))
    assert (now(database, short).lease_until, now(database, short).handed_over) == (2**41, True)
    assert 2**42 < (now(database, long).lease_until or 0) < 2**43


def test_a_receipt_counts_only_for_its_own_job_and_lease(database: Database) -> None:
    job, other = held(database, lease_until=1), held(database, lease_until=1)
    database.write(lambda tx: leases.received(tx, job.id, "another", 60_000))
    assert [now(database, each) for each in (job, other)] == [job, other]
    database.write(lambda tx: leases.received(tx, job.id, "lease-1", 60_000))
    assert now(database, job) != job
    assert now(database, other) == other


def test_an_offer_is_pending_until_its_receipt(database: Database) -> None:
    job, other = held(database), held(database, "lease-2")
    assert database.read(lambda c: leases.is_offer(c, job.id, "lease-1")) is True
    assert database.read(lambda c: leases.is_offer(c, job.id, "lease-2")) is False
    database.write(lambda tx: leases.received(tx, job.id, "lease-1", 60_000))
    assert database.read(lambda c: leases.is_offer(c, job.id, "lease-1")) is False
    assert database.read(lambda c: leases.is_offer(c, other.id, "lease-2")) is True


def test_only_leases_of_extensions_expire(database: Database) -> None:
    over = held(database, lease_until=1)
    downloading, waiting = held(database, lease_until=1), held(database, lease_until=1)
    database.write(lambda tx: jobs.move(tx, downloading.id, Step.GENERATED))
    database.write(lambda tx: jobs.move(tx, waiting.id, Step.REQUEUE))
    assert database.read(lambda c: leases.expired(c, 10)) == [over]
    assert database.read(lambda c: leases.held_by(c, "e1")) == [over]


def test_only_leases_of_processing_jobs_are_shortened(database: Database) -> None:
    job = held(database)
    moved = database.write(lambda tx: jobs.move(tx, job.id, Step.GENERATED))
    database.write(lambda tx: leases.shorten(tx, ["s1"], 1_000))
    assert now(database, job) == moved


def test_a_gap_extends_leases_but_not_beyond_a_new_one(database: Database) -> None:
    over = held(database, lease_until=1_000, attempt_until=2_000)
    offer, in_hand = held(database), held(database, handed_over=True)
    done = held(database, lease_until=1_000)
    done_after = database.write(lambda tx: jobs.move(tx, done.id, Step.GENERATED))

    def put_off(tx: Transaction) -> int:
        leases.extend_all(tx, 500, lease_ms=30, offer_ms=20, attempt_ms=40)
        return tx.now

    moment = database.write(put_off)
    limits = [(now(database, job).lease_until, now(database, job).attempt_until) for job in (over, offer, in_hand)]
    assert limits == [(1_500, 2_500), (moment + 20, moment + 40), (moment + 30, moment + 40)]
    assert now(database, done) == done_after
