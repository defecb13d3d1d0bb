"""What is read outside a write may have changed by the time of the write: then the write changes nothing."""

from __future__ import annotations

from typing import Any

import pytest
from sqlalchemy import select

from app.db import images, jobs
from app.db.engine import Transaction
from app.db.jobs import Job
from app.db.tables import extensions
from app.domain.states import Status
from tests.support.crew import Crew
from tests.support.downloads import PNG, URL, make_due, run
from tests.support.fakes import Bench
from tests.support.interleaving import changed_after_read, on_postgresql, overlapping
from tests.support.jobs_made import downloading

FUTURE = 2**45
OVER = 1  # a lease, an attempt or a deadline that ended long ago


# -- the end of a lease


def test_a_lease_that_is_renewed_while_it_is_being_ended_lasts(crew: Crew) -> None:
    holder, job = crew.at_work()
    crew.lease_ends(job)
    with changed_after_read(crew.bench.database, lambda: crew.beat(holder, active_request_ids=(job.id,))):
        crew.services.housekeeping.end_leases()
    after = crew.now(job)
    assert (after.status, after.holder, after.lease, after.strikes) == (Status.PROCESSING, "e1", job.lease, 0)
    assert (after.lease_until or 0) > crew.clock()


def test_an_offer_that_is_taken_while_its_lease_is_being_ended_counts_as_taken(crew: Crew) -> None:
    crew.join()
    job = crew.offered()
    crew.pass_time(job, lease_until=OVER, attempt_until=OVER)  # so the lease ends at the same moment before and after
    with changed_after_read(
        crew.bench.database, lambda: crew.services.generation.offer_received(job.id, job.lease or "")
    ):
        crew.services.housekeeping.end_leases()
    assert (crew.now(job).status, crew.now(job).handed_over) == (Status.PROCESSING, True)
    crew.services.housekeeping.end_leases()
    assert (crew.now(job).status, crew.now(job).strikes) == (Status.ACCEPTED, 1)
    assert crew.facts(job)[-1].data["code"] == "ERR_TIMEOUT"


@pytest.mark.parametrize("max_attempts", [1, 9], ids=["the last strike", "strikes left"])
def test_a_job_that_changes_hands_while_its_lease_is_being_ended_stays_there(crew: Crew, max_attempts: int) -> None:
    crew.join("e1")
    job = crew.taken()
    crew.lease_ends(job)

    def change_hands() -> None:
        crew.services.housekeeping.end_leases()
        crew.join("e2")
        crew.hand_out()
        crew.services.generation.offer_received(job.id, crew.now(job).lease or "")
        crew.lease_ends(job)

    strict = crew.with_settings(max_attempts=max_attempts)
    with changed_after_read(crew.bench.database, change_hands):
        strict.services.housekeeping.end_leases()
    after = crew.now(job)
    assert (after.status, after.holder, after.attempt) == (Status.PROCESSING, "e2", 2)
    assert (crew.extension("e1").held, crew.extension("e2").held) == (0, 1)
    assert len(crew.bench.bus.sent("cancel_generation")) == 1


# -- deadlines


def test_a_late_job_that_changes_hands_meanwhile_is_ended_where_it_is_now(crew: Crew) -> None:
    first = crew.join("e1")
    job = crew.taken(deadline_ms=1_000)
    crew.pass_time(job, deadline_at=OVER)

    def change_hands() -> None:
        crew.give_up(first, job)
        crew.join("e2")
        assert crew.hand_out() == 1

    with changed_after_read(crew.bench.database, change_hands):
        crew.services.housekeeping.fail_late()
    assert (crew.now(job).status, crew.now(job).holder) == (Status.PROCESSING, "e2")
    assert crew.bench.bus.sent("cancel_generation") == []
    crew.services.housekeeping.fail_late()
    assert (crew.now(job).status, crew.now(job).error_code) == (Status.FAILED, "ERR_TIMEOUT")
    assert crew.facts(job)[-1].data["extension_id"] == "e2"
    assert crew.extension("e2").held == 0
    [(_, stop)] = [
        sent for sent in crew.bench.bus.to_hubs if sent[1].get("message", {}).get("type") == "cancel_generation"
    ]
    assert stop["connection"] == "e2-socket-1"


@pytest.mark.parametrize("end", ["cancelled", "completed"])
def test_a_late_job_that_ends_meanwhile_stays_as_it_ended(crew: Crew, end: str) -> None:
    holder, job = crew.at_work()
    crew.pass_time(job, deadline_at=OVER)
    crew.bench.fetch.answers[URL] = PNG

    def finish() -> None:
        if end == "cancelled":
            crew.services.cancellation.cancel(job.id)
        else:
            crew.deliver(holder, job)
            crew.services.download.run()

    with changed_after_read(crew.bench.database, finish):
        crew.services.housekeeping.fail_late()
    assert crew.now(job).status == end


@on_postgresql
@pytest.mark.parametrize("served", [True, False])
def test_a_job_that_is_handed_out_while_it_is_about_to_fail_for_its_wait_is_done(
    crew: Crew, monkeypatch: pytest.MonkeyPatch, served: bool
) -> None:
    job = crew.order()
    if served:
        crew.join()
        crew.pass_time(job, created_at=OVER)
    else:
        crew.sweep()
        crew.long_unserved(job)
        crew.pass_time(job, created_at=crew.clock() - crew.services.settings.no_extension_timeout_ms - 1)

    def read_then_hand_out(*args: Any) -> list[Job]:
        waiting = jobs_waiting_since(*args)
        if waiting:
            crew.join()
            assert crew.hand_out() == 1
        return waiting

    jobs_waiting_since = jobs.waiting_since
    monkeypatch.setattr(jobs, "waiting_since", read_then_hand_out)
    crew.sweep()
    assert (crew.now(job).status, crew.now(job).holder) == (Status.PROCESSING, "e1")


def test_one_model_that_cannot_be_served_fails_no_other_models_jobs(crew: Crew) -> None:
    crew.join("e1", "dall-e-3")
    crew.set_extension(available=False)
    unserved, served = crew.order(model="flux"), crew.order()
    crew.sweep()
    crew.long_unserved(unserved)
    crew.pass_time(served, created_at=crew.now(unserved).created_at)
    crew.sweep()
    assert (crew.now(unserved).status, crew.now(unserved).error_code) == (Status.FAILED, "ERR_NO_EXTENSION")
    assert crew.now(served).status is Status.ACCEPTED


@pytest.mark.parametrize("stage", ["accepted", "processing"])
def test_a_deadline_that_lies_ahead_changes_nothing(crew: Crew, stage: str) -> None:
    crew.join()
    job = crew.order(deadline_ms=3_600_000)
    if stage == "processing":
        assert crew.hand_out() == 1
    before = crew.now(job)
    crew.sweep()
    assert crew.now(job) == before


# -- the hand-off


def test_a_job_that_was_handed_out_and_came_back_meanwhile_is_not_handed_out_as_the_same_attempt(crew: Crew) -> None:
    crew.join()
    job = crew.order()

    def there_and_back() -> None:
        assert crew.hand_out() == 1
        crew.services.dispatch.not_delivered(job.id, crew.now(job).lease or "")
        crew.set_extension(cooldown_until=0)

    with changed_after_read(crew.bench.database, there_and_back):
        crew.hand_out()
    crew.hand_out()
    assert (crew.now(job).attempt, crew.extension().held) == (2, 1)
    attempts = [fact.data["attempt"] for fact in crew.facts(job) if fact.type == "ImageGenerationAssignedEvent"]
    assert attempts == [1, 2]


def test_a_job_that_was_cancelled_meanwhile_takes_no_slot(crew: Crew) -> None:
    crew.join()
    job = crew.order()
    with changed_after_read(crew.bench.database, lambda: crew.services.cancellation.cancel(job.id)):
        assert crew.hand_out() == 0
    assert (crew.now(job).status, crew.extension().held) == (Status.CANCELLED, 0)


def test_an_offer_that_was_taken_meanwhile_is_not_taken_back(crew: Crew) -> None:
    crew.join()
    job = crew.taken()
    crew.services.dispatch.not_delivered(job.id, job.lease or "")
    assert crew.now(job) == job


def test_an_offer_of_an_earlier_lease_is_not_taken_back(crew: Crew) -> None:
    crew.join()
    job = crew.offered()
    crew.services.dispatch.not_delivered(job.id, "an-earlier-lease")
    assert crew.now(job) == job


@on_postgresql
def test_extensions_are_locked_in_the_order_of_their_ids_so_that_two_workers_cannot_deadlock(crew: Crew) -> None:
    crew.join("z", "flux")
    crew.join("a", "dall-e-3")
    crew.order(model="flux")
    crew.order(model="dall-e-3")

    def lock(tx: Transaction, name: str) -> None:
        row = select(extensions.c.id).where(extensions.c.id == name)
        tx.connection.execute(row.with_for_update(nowait=True)).one()

    database = crew.bench.database
    _, handed_out = overlapping(database, lambda tx: lock(tx, "a"), crew.hand_out, then=lambda tx: lock(tx, "z"))
    assert handed_out == 2


# -- files


@pytest.fixture
def job(bench: Bench) -> Job:
    """A job whose picture can be fetched."""
    bench.fetch.answers[URL] = PNG
    return downloading(bench, URL)


def test_a_download_cannot_complete_with_a_file_that_a_sweep_has_given_up(bench: Bench, job: Job) -> None:
    def given_up_meanwhile() -> bytes:
        assert len(bench.database.write(lambda tx: images.give_up_intended(tx, FUTURE, 10))) == 1
        return PNG

    bench.fetch.answers[URL] = given_up_meanwhile
    assert run(bench, job).status is Status.DOWNLOADING
    assert bench.files() == []
    bench.fetch.answers[URL] = PNG
    make_due(bench, job)
    assert run(bench, job).status is Status.COMPLETED
    assert len(bench.files()) == 1
