"""Small pieces of state of the service, and the event log."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor

import pytest
from sqlalchemy.exc import IntegrityError

from app.db import events, jobs, service_state
from app.db.engine import Database, Transaction
from app.db.jobs import Job
from app.domain.events import ImageGenerationRequestedEvent


def test_a_secret_is_created_once_for_concurrent_callers(database: Database) -> None:
    def ask(n: int) -> bytes:
        return database.write(lambda tx: service_state.secret(tx, "upload", bytes([n]) * 32))

    with ThreadPoolExecutor(6) as pool:
        received = set(pool.map(ask, range(12)))
    assert len(received) == 1
    assert database.write(lambda tx: service_state.secret(tx, "another", b"x")) == b"x"


def test_a_sweep_reads_the_time_of_the_last_one(database: Database) -> None:
    assert database.write(lambda tx: service_state.last_sweep(tx, "sweep")) is None
    first = database.write(lambda tx: tx.now)
    before = database.write(lambda tx: service_state.last_sweep(tx, "sweep"))
    assert before is not None
    assert first - 5_000 <= before <= first
    assert database.write(lambda tx: service_state.last_sweep(tx, "other")) is None


def test_a_model_counts_as_served_when_it_is_first_queried(database: Database) -> None:
    def note(now: bool) -> tuple[int, int]:
        return database.write(lambda tx: (service_state.update_last_served(tx, "flux", now), tx.now))

    first, at = note(now=False)
    assert first == at
    assert note(now=False)[0] == first
    again, at = note(now=True)
    assert again == at
    assert note(now=False)[0] == again


def job_of(tx: Transaction, last_event: int) -> Job:
    order = {"correlation_id": "c-1", "user_id": "ann", "model": "m", "prompt": "a fox", "parameters": {}}
    more = {"number_of_images": 1, "last_event": last_event}
    return jobs.add(tx, "550e8400-e29b-41d4-a716-446655440000", {**order, **more})


FACT = ImageGenerationRequestedEvent("m", "ann")


def test_an_event_is_written_with_the_number_and_time_of_its_change(database: Database) -> None:
    def work(tx: Transaction) -> Job:
        job = job_of(tx, 7)
        events.append(tx, job, FACT)
        return job

    job = database.write(work)
    (fact,) = database.read(lambda c: events.after(c, job.id, 0))
    assert (fact.seq, fact.type, fact.status) == (7, "ImageGenerationRequestedEvent", "accepted")
    assert (fact.at, fact.data) == (job.updated_at, {"model": "m", "user_id": "ann"})
    assert database.read(lambda c: events.after(c, job.id, 7)) == []
    assert database.read(lambda c: events.after(c, job.id, 0, last=6)) == []


def test_no_event_number_is_used_twice(database: Database) -> None:
    def work(tx: Transaction) -> None:
        job = job_of(tx, 1)
        events.append(tx, job, FACT)
        events.append(tx, job, FACT)

    with pytest.raises(IntegrityError):
        database.write(work)
