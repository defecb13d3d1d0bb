"""For how long extensions hold their jobs."""

from __future__ import annotations

import uuid
from typing import Any

from app.db import jobs, leases
from app.db.engine import Database, Transaction
from app.db.jobs import Job
from app.domain.states import Step


def held(database: Database, lease: str | None = "lease-1", **values: Any) -> Job:
    """A job that an extension holds."""
    order = {"correlation_id": "c-1", "user_id": "ann", "model": "m", "prompt": "a fox", "parameters": {}}
    holding = {"holder": "e1", "connection_id": "s1", "lease": lease, "lease_until": 2**45, "attempt_until": 2**50}

    def work(tx: Transaction) -> Job:
        job = jobs.add(tx, str(uuid.uuid4()), {**order, "number_of_images": 1, "place": 1})
        moved = jobs.move(tx, job.id, Step.ASSIGN, **{**holding, **values})
        assert moved is not None
        return moved

    return database.write(work)


def now(database: Database, job: Job) -> Job:
    found = database.read(lambda c: jobs.find(c, job.id))
    assert found is not None
    return found


def test_a_lease_is_renewed_for_whoever_has_it(database: Database) -> None:
    mine, other = held(database, "lease-1"), held(database, "lease-2")
    renewed = database.write(lambda tx: leases.renew(tx, {mine.id: mine.lease, other.id: "another"}, 2**46))
    assert renewed == [mine.id]
    assert (now(database, mine).lease_until, now(database, mine).handed_over) == (2**46, True)
    assert now(database, other) == other


def test_no_lease_lasts_longer_than_its_attempt(database: Database) -> None:
    job = held(database, attempt_until=2**41)
    database.write(lambda tx: leases.renew(tx, {job.id: job.lease}, 2**46))
    assert now(database, job).lease_until == 2**41


def test_nothing_is_renewed_for_nobody(database: Database) -> None:
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


def test_leases_that_are_over_are_found_the_longest_over_first(database: Database) -> None:
    later, sooner, _ = held(database, lease_until=9), held(database, lease_until=5), held(database)
    assert database.read(lambda c: leases.over(c, 10)) == [sooner, later]
    assert database.read(lambda c: leases.over(c, 1)) == [sooner]


def test_what_an_extension_holds_is_known(database: Database) -> None:
    mine, _ = held(database), held(database, holder="e2")
    assert database.read(lambda c: leases.held_by(c, "e1")) == [mine]
