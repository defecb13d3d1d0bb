"""Slots: no extension gets more jobs than it has slots, however many transactions run concurrently."""

from __future__ import annotations

from functools import partial

from app.db import fleet, jobs, slots
from app.db.engine import Database, Transaction
from app.db.fleet import Socket
from app.db.jobs import Job
from app.db.tables import extensions
from app.domain.messages import Authenticate, ExtensionMetadata
from app.domain.policy import Candidate
from app.domain.states import Step
from tests.support.interleaving import on_postgresql, overlapping
from tests.support.job_factory import add_job


def connect(database: Database, name: str = "e1", max_concurrent: int = 2) -> Candidate:
    """Connect an extension."""
    metadata = ExtensionMetadata(capabilities=("*",), max_concurrent=max_concurrent)
    hello = Authenticate(extension_id=name, metadata=metadata)
    database.write(lambda tx: fleet.connect(tx, hello, Socket("hub-1", f"{name}-socket")))
    return next(each for each in database.read(lambda c: slots.free(c, 9)) if each.extension_id == name)


def take(tx: Transaction, candidate: Candidate, job: Job) -> bool:
    """Take a slot and assign the job, as a worker does in one transaction."""
    taken = slots.take(tx, candidate)
    if taken:
        assert jobs.move(tx, job.id, Step.ASSIGN, holder=candidate.extension_id) is not None
    return taken


def requeue(tx: Transaction, job: Job, extension_id: str = "e1") -> None:
    """Requeue the job and free its slot."""
    assert jobs.move(tx, job.id, Step.REQUEUE, holder=None) is not None
    slots.recount(tx, extension_id)


def held(database: Database, name: str = "e1") -> int:
    """The number of held jobs in the extension's row."""
    query = extensions.select().where(extensions.c.id == name)
    return int(database.read(lambda c: c.execute(query).one().held))


def test_slots_are_counted_by_the_jobs_that_one_extension_processes(database: Database) -> None:
    mine, other = connect(database, max_concurrent=9), connect(database, "e2")
    given = [add_job(database) for _ in range(3)]
    for job in given:
        assert database.write(partial(take, candidate=mine, job=job)) is True
    assert database.write(partial(take, candidate=other, job=add_job(database))) is True
    assert (held(database), held(database, "e2")) == (3, 1)
    database.write(lambda tx: jobs.move(tx, given[0].id, Step.GENERATED))
    database.write(lambda tx: slots.recount(tx, "e1"))
    assert (held(database), held(database, "e2")) == (2, 1)


def test_a_slot_is_taken_only_if_the_counted_jobs_leave_one(database: Database) -> None:
    candidate = connect(database, max_concurrent=1)
    database.write(partial(take, candidate=candidate, job=add_job(database)))
    database.write(lambda tx: tx.connection.execute(extensions.update().values(held=0)))
    assert database.write(partial(take, candidate=candidate, job=add_job(database))) is False


@on_postgresql
def test_one_of_two_concurrent_transactions_gets_the_last_slot(database: Database) -> None:
    candidate = connect(database, max_concurrent=1)
    one, other = add_job(database), add_job(database)
    results = overlapping(
        database,
        lambda tx: take(tx, candidate, one),
        lambda: database.write(partial(take, candidate=candidate, job=other)),
    )
    assert (results, held(database)) == ((True, False), 1)


@on_postgresql
def test_two_slots_taken_concurrently_are_both_counted(database: Database) -> None:
    candidate = connect(database, max_concurrent=3)
    one, other = add_job(database), add_job(database)
    results = overlapping(
        database,
        lambda tx: take(tx, candidate, one),
        lambda: database.write(partial(take, candidate=candidate, job=other)),
    )
    assert (results, held(database)) == ((True, True), 2)


@on_postgresql
def test_two_jobs_requeued_concurrently_free_both_slots(database: Database) -> None:
    candidate = connect(database)
    one, other = add_job(database), add_job(database)
    for job in (one, other):
        database.write(partial(take, candidate=candidate, job=job))
    overlapping(database, partial(requeue, job=one), lambda: database.write(partial(requeue, job=other)))
    assert held(database) == 0


@on_postgresql
def test_a_concurrent_result_and_assignment_are_both_counted(database: Database) -> None:
    candidate = connect(database)
    one, other = add_job(database), add_job(database)
    database.write(partial(take, candidate=candidate, job=one))

    def generated(tx: Transaction) -> None:
        jobs.move(tx, one.id, Step.GENERATED)
        slots.recount(tx, "e1")

    overlapping(
        database,
        lambda tx: take(tx, candidate, other),
        lambda: database.write(generated),
    )
    assert held(database) == 1
